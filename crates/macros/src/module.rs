//! `#[module(..)]`: imports, controllers, providers and exports, read into a `ModuleDefinition`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, Token, Type, bracketed, parenthesized, token};

use crate::diagnostics::{Errors, at, unknown};
use crate::injectable::{lifecycle, parse_struct};

const OPTIONS: &[&str] = &["imports", "controllers", "providers", "exports", "global"];

pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let item = match parse_struct(item, "module") {
        Ok(item) => item,
        Err(tokens) => return tokens,
    };
    if !item.generics.params.is_empty() {
        errors.at(&item.generics, "a module has no parameters");
    }
    let Content {
        imports,
        controllers,
        providers,
        exports,
        global,
    } = syn::parse2(args).unwrap_or_else(|error| {
        errors.push(error);
        Content::default()
    });
    let name = &item.ident;
    let text = name.to_string();
    let imports = imports.iter().map(|import| match import {
        Expr::Path(ty) => quote_spanned! { at(ty) => let __module = __module.import::<#ty>(); },
        made => quote_spanned! { at(made) => let __module = __module.import_dynamic(#made); },
    });
    let controllers = controllers.iter().map(|ty| {
        quote_spanned! { at(ty) => let __module = __module.control::<#ty>(); }
    });
    let providers = providers.iter().map(|provider| {
        let provider = provider.expression();
        quote! { let __module = __module.provide(#provider); }
    });
    let exports = exports.iter().map(|ty| {
        quote_spanned! { at(ty) =>
            let __module = __module.export((&ExportTag::<#ty>::new()).export());
        }
    });
    let global = global.then(|| quote! { let __module = __module.global(); });
    let errors = errors.into_tokens();
    let implementation = item.generics.params.is_empty().then(|| {
        quote! {
            #[automatically_derived]
            impl ::gatewire::module::Module for #name {
                fn definition() -> ::gatewire::module::ModuleDefinition {
                    #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                    use ::gatewire::__private::module::*;
                    let __module = ::gatewire::module::ModuleDefinition::new(#text);
                    #(#imports)*
                    #(#providers)*
                    #(#controllers)*
                    #(#exports)*
                    #global
                    __module
                }
            }
        }
    });
    quote! { #item #implementation #errors }
}

#[derive(Default)]
struct Content {
    /// A type, or an expression that makes a dynamic module.
    imports: Vec<Expr>,
    controllers: Vec<Type>,
    providers: Vec<ProviderForm>,
    exports: Vec<Type>,
    global: bool,
}

impl Parse for Content {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut content = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            if seen.contains(&name) {
                return Err(Error::new(name.span(), format!("`{name}` is written twice")));
            }
            match name.to_string().as_str() {
                "imports" => content.imports = list(input)?,
                "controllers" => content.controllers = list(input)?,
                "providers" => content.providers = list(input)?,
                "exports" => content.exports = list(input)?,
                "global" if input.peek(Token![=]) => {
                    input.parse::<Token![=]>()?;
                    content.global = input.parse::<syn::LitBool>()?.value;
                }
                "global" => content.global = true,
                _ => return Err(unknown(&name, OPTIONS)),
            }
            seen.push(name);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(content)
    }
}

fn list<T: Parse>(input: ParseStream<'_>) -> syn::Result<Vec<T>> {
    input.parse::<Token![=]>()?;
    let content;
    bracketed!(content in input);
    Ok(Punctuated::<T, Token![,]>::parse_terminated(&content)?
        .into_iter()
        .collect())
}

const PROVIDER_FORMS: &str =
    "a provider is `Type`, `Type as dyn Trait`, `value(expr)` or `factory(async_fn)`";

/// One entry of `providers`.
enum ProviderForm {
    Type { ty: Type, alias: Option<Type> },
    Value { value: Expr, alias: Option<Type> },
    Factory(Expr),
}

impl Parse for ProviderForm {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.peek(syn::Ident) && input.peek2(token::Paren) {
            let name: Ident = input.parse()?;
            let content;
            parenthesized!(content in input);
            let value: Expr = content.parse()?;
            if !content.is_empty() {
                return Err(content.error("one expression is expected"));
            }
            return match name.to_string().as_str() {
                "value" => Ok(Self::Value {
                    value,
                    alias: alias(input)?,
                }),
                "factory" => Ok(Self::Factory(value)),
                _ => Err(Error::new(name.span(), PROVIDER_FORMS)),
            };
        }
        let form = Self::Type {
            ty: input.parse()?,
            alias: alias(input)?,
        };
        // A call, the fields of a struct.
        if input.is_empty() || input.peek(Token![,]) {
            Ok(form)
        } else {
            Err(input.error(PROVIDER_FORMS))
        }
    }
}

impl ProviderForm {
    fn expression(&self) -> TokenStream {
        match self {
            Self::Type { ty, alias: None } => {
                quote_spanned! { at(ty) => ::gatewire::module::Provider::injectable::<#ty>() }
            }
            Self::Type {
                ty,
                alias: Some(alias),
            } => quote_spanned! { at(alias) =>
                ::gatewire::module::Provider::alias::<#ty, #alias>(|__provider| __provider)
            },
            Self::Value { value, alias } => {
                let hooks = lifecycle(&quote! { LifecycleTag::of_value(&__make) });
                let target = alias
                    .as_ref()
                    .map_or_else(|| quote! { _ }, ToTokens::to_token_stream);
                let place = alias.as_ref().map_or_else(|| at(value), at);
                quote_spanned! { place => {
                    let __make = || #value;
                    let __hooks = #hooks;
                    ::gatewire::module::Provider::value_with::<_, #target>(__make, __hooks, |__value| __value)
                } }
            }
            Self::Factory(factory) => {
                let hooks = lifecycle(&quote! { LifecycleTag::of_product(&__finish) });
                quote_spanned! { at(factory) => {
                    let __factory = #factory;
                    let __finish = (&FactoryTag::of(&__factory)).finish();
                    let __hooks = #hooks;
                    ::gatewire::module::Provider::factory_with(__factory, __finish, __hooks)
                } }
            }
        }
    }
}

fn alias(input: ParseStream<'_>) -> syn::Result<Option<Type>> {
    if input.peek(Token![as]) {
        input.parse::<Token![as]>()?;
        return input.parse().map(Some);
    }
    Ok(None)
}
