//! `#[use_guards(..)]`, `#[use_interceptors(..)]`, `#[use_pipes(..)]`, `#[use_filters(..)]` and `#[set_metadata(..)]`: read off
//! a gateway or a controller, its block of handlers or a handler, and written as a call chain on `Enhancers`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, Item, Meta, Token};

use crate::diagnostics::{Errors, at};

/// An attribute, with the method of `Enhancers` for a class and for a value.
struct Kind {
    name: &'static str,
    class: &'static str,
    value: &'static str,
    example: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        name: "use_guards",
        class: "guard",
        value: "guard_value",
        example: "JwtGuard",
    },
    Kind {
        name: "use_interceptors",
        class: "interceptor",
        value: "interceptor_value",
        example: "LoggingInterceptor",
    },
    Kind {
        name: "use_pipes",
        class: "pipe",
        value: "pipe_value",
        example: "Trim",
    },
    Kind {
        name: "use_filters",
        class: "filter",
        value: "filter_value",
        example: "ChatFilter",
    },
    Kind {
        name: "set_metadata",
        class: "metadata",
        value: "metadata",
        example: "Roles(&[\"admin\"])",
    },
];

/// The attributes that take these.
const OWNERS: &[&str] = &["websocket_gateway", "subscriptions", "controller", "routes"];

/// Removes the attributes; an expression of type `Enhancers`, or nothing if there are none.
pub(crate) fn take(attributes: &mut Vec<Attribute>, errors: &mut Errors) -> Option<TokenStream> {
    let mut calls = TokenStream::new();
    for attribute in std::mem::take(attributes) {
        let Some(kind) = KINDS.iter().find(|kind| is(&attribute, kind.name)) else {
            attributes.push(attribute);
            continue;
        };
        match read(&attribute, kind) {
            Ok(call) => calls.extend(call),
            Err(error) => errors.push(error),
        }
    }
    (!calls.is_empty()).then(|| quote! { ::gatewire::pipeline::Enhancers::new() #calls })
}

/// Pipes, on what has no messages whose bodies could go through them.
pub(crate) fn refuse_pipes(attributes: &[Attribute], errors: &mut Errors) {
    for attribute in attributes.iter().filter(|attribute| is(attribute, "use_pipes")) {
        errors.at(
            attribute,
            "pipes are for the messages of gateways: the body of a request is its extractor's, such as `Valid<T>`",
        );
    }
}

/// One of the attributes above the one that takes them: goes below it. Anywhere else it is an error.
pub(crate) fn reorder(name: &str, args: &TokenStream, item: &TokenStream) -> TokenStream {
    let Ok(mut parsed) = syn::parse2::<Item>(item.clone()) else {
        return misplaced(name, item);
    };
    let attributes = match &mut parsed {
        Item::Struct(item) => &mut item.attrs,
        Item::Impl(item) => &mut item.attrs,
        _ => return misplaced(name, item),
    };
    let is_owner = |attribute: &Attribute| OWNERS.iter().any(|owner| is(attribute, owner));
    if !attributes.iter().any(is_owner) {
        return misplaced(name, item);
    }
    let name = proc_macro2::Ident::new(name, proc_macro2::Span::call_site());
    // First of all below: the order in which they were written stays.
    let at = attributes.iter().position(is_owner).map_or(0, |owner| owner + 1);
    attributes.insert(at, syn::parse_quote!(#[::gatewire::#name(#args)]));
    quote! { #parsed }
}

fn misplaced(name: &str, item: &TokenStream) -> TokenStream {
    let error = Error::new(
        proc_macro2::Span::call_site(),
        format!(
            "`#[{name}(..)]` is for a `#[websocket_gateway]` or `#[controller(..)]` struct, a `#[subscriptions]` or `#[routes]` block, or a handler in one"
        ),
    )
    .into_compile_error();
    quote! { #item #error }
}

fn is(attribute: &Attribute, name: &str) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|last| last.ident == name)
}

fn read(attribute: &Attribute, kind: &Kind) -> syn::Result<TokenStream> {
    let Kind { name, example, .. } = kind;
    let wanted = || Error::new(attribute.span(), format!("write `#[{name}({example})]`"));
    let Meta::List(_) = &attribute.meta else {
        return Err(wanted());
    };
    let entries = attribute.parse_args_with(Punctuated::<Expr, Token![,]>::parse_terminated)?;
    if entries.is_empty() {
        return Err(wanted());
    }
    Ok(entries.iter().map(|entry| call(entry, kind)).collect())
}

fn call(entry: &Expr, kind: &Kind) -> TokenStream {
    let ident = |name| proc_macro2::Ident::new(name, at(entry));
    if kind.name == "set_metadata" {
        let method = ident(kind.value);
        return quote_spanned! { at(entry) => .#method(#entry) };
    }
    if is_type(entry) {
        let method = ident(kind.class);
        return quote_spanned! { at(entry) => .#method::<#entry>() };
    }
    let method = ident(kind.value);
    quote_spanned! { at(entry) => .#method(|| #entry) }
}

/// Whether this is a type, by the rule of names: the last segment is in camel case.
fn is_type(entry: &Expr) -> bool {
    let Expr::Path(path) = entry else {
        return false;
    };
    path.path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        let is_upper = name.starts_with(|first: char| first.is_uppercase());
        is_upper && (name.len() == 1 || name.contains(|c: char| c.is_lowercase()))
    })
}
