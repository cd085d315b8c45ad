//! `#[controller(..)]`: an injectable struct that answers requests. Which routes it has is found out by the compiler, from
//! the `#[routes]` block that the concrete type has.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Error, LitStr, Token};

use crate::diagnostics::{Errors, unknown};
use crate::enhancers;
use crate::injectable::{implement, parse_struct};

pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match parse_struct(item, "controller") {
        Ok(item) => item,
        Err(tokens) => return tokens,
    };
    let Args { path, namespace } = syn::parse2(args).unwrap_or_else(|error| {
        errors.push(error);
        Args::default()
    });
    let path = path.map(|path| quote! { .path(#path) });
    let namespace = namespace.map(|namespace| quote! { .namespace(#namespace) });
    enhancers::refuse_pipes(&item.attrs, &mut errors);
    let enhancers = enhancers::take(&mut item.attrs, &mut errors).unwrap_or_else(|| {
        quote! { ::gatewire::pipeline::Enhancers::new() }
    });
    let definition = quote! {
        fn controller() -> ::core::option::Option<::gatewire::controller::ControllerDefinition> {
            ::core::option::Option::Some(::gatewire::controller::ControllerDefinition::of::<Self>())
        }
    };
    let injectable = implement(&mut item, Some(&definition), &mut errors);
    let name = &item.ident;
    let controller = item.generics.params.is_empty().then(|| {
        quote! {
            #[automatically_derived]
            impl ::gatewire::controller::Controller for #name {
                fn options() -> ::gatewire::controller::ControllerOptions {
                    ::gatewire::controller::ControllerOptions::new() #path #namespace
                }

                fn routes() -> ::std::vec::Vec<::gatewire::controller::ControllerRoute<Self>> {
                    #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                    use ::gatewire::__private::probe::*;
                    (&Probe::<Self>::new()).routes()
                }

                fn enhancers() -> ::gatewire::pipeline::Enhancers {
                    #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                    use ::gatewire::__private::probe::*;
                    #enhancers.and((&Probe::<Self>::new()).route_enhancers())
                }
            }
        }
    });
    let errors = errors.into_tokens();
    quote! { #item #injectable #controller #errors }
}

/// `"/path", namespace = "/chat"`.
#[derive(Default)]
struct Args {
    path: Option<LitStr>,
    namespace: Option<LitStr>,
}

impl Parse for Args {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut args = Self::default();
        if input.peek(LitStr) {
            args.path = Some(path(input)?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if name != "namespace" {
                return Err(unknown(&name, &["namespace"]));
            }
            if args.namespace.is_some() {
                return Err(Error::new(name.span(), "`namespace` is written twice"));
            }
            input.parse::<Token![=]>()?;
            args.namespace = Some(input.parse()?);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

/// A path, with parameters as axum writes them.
pub(crate) fn path(input: ParseStream<'_>) -> syn::Result<LitStr> {
    let path: LitStr = input.parse()?;
    let text = path.value();
    if let Some(part) = text.split('/').find(|part| part.starts_with(':')) {
        let name = &part[1..];
        return Err(Error::new(
            path.span(),
            format!("a parameter is written `{{{name}}}`, not `:{name}`"),
        ));
    }
    Ok(path)
}
