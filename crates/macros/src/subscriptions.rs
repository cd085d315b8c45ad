//! `#[subscriptions]` and the `#[subscribe_message(..)]` inside: collects the marked methods and judges them. What each
//! becomes is written by `handler`.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{Attribute, Error, Expr, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Lit, Type, parse_quote};

use crate::diagnostics::Errors;
use crate::enhancers;
use crate::handler::{self, Handler};
use crate::signature;
use crate::subscribe::{Flow, NO_EVENT, Subscribe};

/// Names that the protocol keeps for itself.
const RESERVED: &[&str] = &[
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// The hooks of NestJS, and the traits they are methods of.
const HOOKS: &[(&str, &str)] = &[
    ("after_init", "OnGatewayInit"),
    ("handle_connection", "OnGatewayConnection"),
    ("handle_disconnect", "OnGatewayDisconnect"),
    ("on_module_init", "OnModuleInit"),
    ("on_application_bootstrap", "OnApplicationBootstrap"),
    ("on_module_destroy", "OnModuleDestroy"),
    ("before_application_shutdown", "BeforeApplicationShutdown"),
    ("on_application_shutdown", "OnApplicationShutdown"),
];

pub(crate) fn expand(args: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let defaults = syn::parse2::<Flow>(args.clone()).unwrap_or_else(|error| {
        errors.push(error);
        Flow::default()
    });
    let mut block = match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(block) if block.trait_.is_none() && block.generics.params.is_empty() => block,
        _ => {
            let error = Error::new(
                item.span(),
                "`#[subscriptions]` is for an `impl Gateway { .. }` block without a trait",
            )
            .into_compile_error();
            return quote! { #item #error };
        }
    };
    let enhancers = enhancers::take(&mut block.attrs, &mut errors).map(|enhancers| {
        quote! {
            fn enhancers() -> ::gatewire::pipeline::Enhancers { #enhancers }
        }
    });
    let mut seen: Vec<(String, proc_macro2::Span)> = Vec::new();
    let mut entries = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let attributes = take(&mut method.attrs);
        if attributes.is_empty() {
            check_hook(&method.sig.ident, &block.self_ty, &mut errors);
            continue;
        }
        // Extractors are owned because the message is gone when an async handler runs.
        method.attrs.push(
            parse_quote!(#[allow(clippy::needless_pass_by_value, reason = "extractors are taken by value")]),
        );
        let before = errors.is_empty();
        let enhancers = enhancers::take(&mut method.attrs, &mut errors);
        let parameters = handler::parameters(&mut method.sig, &mut errors);
        signature::check(method, "one gateway serves all clients", &mut errors);
        check_borrows(method, &mut errors);
        let handler = Handler::new(&method.sig, parameters);
        for attribute in attributes {
            match attribute.parse_args::<Subscribe>() {
                Ok(mut subscribe) => {
                    check_event(&subscribe.event, &mut seen, &mut errors);
                    if handler.may_wait() {
                        subscribe.flow.complete(&defaults);
                    } else if let Some(option) = subscribe.flow.first() {
                        errors.at(
                            option,
                            format!("`{option}` is for an `async` handler: this one never waits"),
                        );
                    }
                    if before && errors.is_empty() {
                        entries.push(handler.entry(&subscribe, enhancers.as_ref()));
                    }
                }
                Err(error) if matches!(attribute.meta, syn::Meta::List(_)) => errors.push(error),
                Err(_) => errors.at(&attribute, NO_EVENT),
            }
        }
    }
    let gateway = &block.self_ty;
    let errors = errors.into_tokens();
    quote! {
        #block

        #[automatically_derived]
        impl ::gatewire::gateway::Subscriptions for #gateway {
            fn subscriptions() -> ::std::vec::Vec<::gatewire::gateway::Subscription<Self>> {
                #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                use ::gatewire::__private::reply::*;
                ::std::vec![#(#entries),*]
            }

            #enhancers
        }

        #errors
    }
}

/// `#[subscribe_message]` that no `#[subscriptions]` has taken.
pub(crate) fn misplaced(item: &TokenStream) -> TokenStream {
    let error = Error::new(
        proc_macro2::Span::call_site(),
        "`#[subscribe_message]` works inside an impl block that is marked with `#[subscriptions]`",
    )
    .into_compile_error();
    quote! { #item #error }
}

/// Removes and returns the `#[subscribe_message]` attributes, however their path is written.
fn take(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    let (ours, others) = std::mem::take(attributes).into_iter().partition(|attribute| {
        attribute
            .path()
            .segments
            .last()
            .is_some_and(|last| last.ident == "subscribe_message")
    });
    *attributes = others;
    ours
}

/// A hook in the block of handlers would be a method like any other, which nobody calls.
fn check_hook(method: &Ident, gateway: &Type, errors: &mut Errors) {
    if let Some((hook, hooks)) = HOOKS.iter().find(|(hook, _)| method == hook) {
        errors.at(
            method,
            format!(
                "`{hook}` is never called here: it is a hook, and stands in `impl {hooks} for {}`",
                gateway.to_token_stream()
            ),
        );
    }
}

/// An argument lives as long as the handler's future.
fn check_borrows(method: &ImplItemFn, errors: &mut Errors) {
    for input in &method.sig.inputs {
        if let FnArg::Typed(argument) = input
            && !matches!(*argument.ty, Type::ImplTrait(_))
            && borrows(argument.ty.to_token_stream())
        {
            errors.at(
                &argument.ty,
                "a handler owns its arguments, as the message may be gone while it runs: write `Socket` for `&Socket`, `String` for `&str`",
            );
        }
    }
}

/// Whether there is a reference in a type that is not good for ever.
fn borrows(ty: TokenStream) -> bool {
    let mut tokens = ty.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(sign) if sign.as_char() == '&' => {
                let lifetime =
                    matches!(tokens.peek(), Some(TokenTree::Punct(quote)) if quote.as_char() == '\'');
                let name = lifetime.then(|| tokens.nth(1)).flatten();
                if !matches!(name, Some(TokenTree::Ident(name)) if name == "static") {
                    return true;
                }
            }
            TokenTree::Group(group) if borrows(group.stream()) => return true,
            _ => {}
        }
    }
    false
}

fn check_event(event: &Expr, seen: &mut Vec<(String, proc_macro2::Span)>, errors: &mut Errors) {
    let Expr::Lit(syn::ExprLit {
        lit: Lit::Str(text), ..
    }) = event
    else {
        return;
    };
    let name = text.value();
    if RESERVED.contains(&name.as_str()) {
        errors.at(
            text,
            format!("{name:?} is reserved by the protocol and never reaches a handler; see the lifecycle traits, such as `OnGatewayConnection`"),
        );
    } else if seen.iter().any(|(before, _)| *before == name) {
        errors.at(
            text,
            format!("the event {name:?} has a handler already; an event has one handler"),
        );
    } else {
        seen.push((name, text.span()));
    }
}
