//! `#[injectable]`: a struct's fields become its dependencies. `#[websocket_gateway]` and
//! `#[controller]` use it too.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, Field, ItemStruct, Meta, Token};

use crate::diagnostics::{Errors, at, unknown};

pub(crate) fn expand(args: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    if !args.is_empty() {
        errors.at(args, "`#[injectable]` takes no options");
    }
    let mut item = match parse_struct(item, "injectable") {
        Ok(item) => item,
        Err(tokens) => return tokens,
    };
    let implementation = implement(&mut item, None, &mut errors);
    let errors = errors.into_tokens();
    quote! { #item #implementation #errors }
}

/// The struct under an attribute; for anything else an error beside what was written.
pub(crate) fn parse_struct(item: &TokenStream, attribute: &str) -> Result<ItemStruct, TokenStream> {
    syn::parse2::<ItemStruct>(item.clone()).map_err(|_| {
        let error =
            syn::Error::new(item.span(), format!("`#[{attribute}]` is for a struct")).into_compile_error();
        quote! { #item #error }
    })
}

/// Strips the helper attributes off the fields and writes `impl Injectable`; `speaker` is its `gateway()` or
/// `controller()`.
pub(crate) fn implement(
    item: &mut ItemStruct,
    speaker: Option<&TokenStream>,
    errors: &mut Errors,
) -> TokenStream {
    let name = &item.ident;
    if !item.generics.params.is_empty() {
        errors.at(
            &item.generics,
            "a struct with parameters cannot be provided: the container finds providers by their concrete type",
        );
        strip(item);
        return TokenStream::new();
    }
    let is_speaker = speaker.is_some();
    let mut dependencies = Vec::new();
    let mut inits = Vec::new();
    for (index, field) in item.fields.iter_mut().enumerate() {
        let ty = field.ty.clone();
        let source = Source::take(field, is_speaker, errors);
        let member = match &field.ident {
            Some(ident) => ident.to_token_stream(),
            None => syn::Index::from(index).to_token_stream(),
        };
        let place = member.to_string();
        let init = match source {
            Source::Injected => {
                dependencies.push(quote_spanned! { at(&ty) =>
                    ::gatewire::module::Dependency::of::<#ty>(#place)
                });
                quote_spanned! { at(&ty) => <#ty as ::gatewire::module::Inject>::inject(__resolver)? }
            }
            Source::Server => {
                dependencies.push(quote_spanned! { at(&ty) =>
                    ::gatewire::__private::module::server_dependency::<#ty>(#place)
                });
                quote_spanned! { at(&ty) => ::gatewire::__private::module::server_field::<#ty>(__resolver)? }
            }
            Source::Default => quote_spanned! { at(&ty) => ::core::default::Default::default() },
            Source::Value(value) => value.to_token_stream(),
        };
        inits.push(quote! { #member: #init });
    }
    let text = name.to_string();
    let lifecycle = lifecycle(&quote! { LifecycleTag::<Self>::new() });
    quote! {
        #[automatically_derived]
        impl ::gatewire::module::Injectable for #name {
            const NAME: &'static str = #text;

            fn dependencies() -> ::std::vec::Vec<::gatewire::module::Dependency> {
                ::std::vec![#(#dependencies),*]
            }

            fn construct(
                __resolver: &::gatewire::module::Resolver<'_>,
            ) -> ::core::result::Result<Self, ::gatewire::module::InjectError> {
                let _ = __resolver;
                ::core::result::Result::Ok(Self { #(#inits),* })
            }

            #speaker

            fn lifecycle() -> ::gatewire::module::LifecycleHooks<Self> {
                #lifecycle
            }
        }
    }
}

/// An expression of type `LifecycleHooks`: the hooks that the type of `tag` has.
pub(crate) fn lifecycle(tag: &TokenStream) -> TokenStream {
    quote! { {
        #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
        use ::gatewire::__private::lifecycle::*;
        let __tag = &#tag;
        ::gatewire::module::LifecycleHooks {
            module_init: __tag.module_init(),
            application_bootstrap: __tag.application_bootstrap(),
            module_destroy: __tag.module_destroy(),
            before_application_shutdown: __tag.before_application_shutdown(),
            application_shutdown: __tag.application_shutdown(),
        }
    } }
}

fn strip(item: &mut ItemStruct) {
    for field in &mut item.fields {
        field
            .attrs
            .retain(|attr| !attr.path().is_ident("inject") && !attr.path().is_ident("websocket_server"));
    }
}

/// Where a field's value comes from.
enum Source {
    Injected,
    Server,
    Default,
    Value(Expr),
}

impl Source {
    /// Reads and removes the helper attributes of a field.
    fn take(field: &mut Field, speaker: bool, errors: &mut Errors) -> Self {
        let mut source: Option<Self> = None;
        for attr in std::mem::take(&mut field.attrs) {
            let read = if attr.path().is_ident("websocket_server") {
                if !speaker {
                    errors.at(
                        &attr,
                        "only a gateway has a server: mark the struct with `#[websocket_gateway]`",
                    );
                }
                if !matches!(attr.meta, Meta::Path(_)) {
                    errors.at(&attr, "`#[websocket_server]` takes no options");
                }
                Self::Server
            } else if attr.path().is_ident("inject") {
                match read_inject(&attr) {
                    Ok(source) => source,
                    Err(error) => {
                        errors.push(error);
                        Self::Default
                    }
                }
            } else {
                field.attrs.push(attr);
                continue;
            };
            if source.is_some() {
                errors.at(&attr, "this field has its value already");
            }
            source = Some(read);
        }
        source.unwrap_or(Self::Injected)
    }
}

fn read_inject(attr: &syn::Attribute) -> syn::Result<Source> {
    let wanted = || {
        syn::Error::new(
            attr.span(),
            "write `#[inject(default)]` or `#[inject(value = expr)]`",
        )
    };
    let Meta::List(_) = &attr.meta else {
        return Err(wanted());
    };
    let metas = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)?;
    let mut metas = metas.into_iter();
    let (Some(meta), None) = (metas.next(), metas.next()) else {
        return Err(wanted());
    };
    match meta {
        Meta::Path(path) if path.is_ident("default") => Ok(Source::Default),
        Meta::NameValue(pair) if pair.path.is_ident("value") => Ok(Source::Value(pair.value)),
        other => match other.path().get_ident() {
            Some(name) if name != "default" && name != "value" => Err(unknown(name, &["default", "value"])),
            _ => Err(wanted()),
        },
    }
}
