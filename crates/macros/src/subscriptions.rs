//! `#[subscriptions]` and the `#[subscribe_message(..)]` inside: each marked method becomes a `Subscription` whose
//! `call` extracts the arguments, runs the method and answers with its result.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Lit, ReceiverKind, ReturnType,
    Token, Type, parse_quote,
};

use crate::diagnostics::{Errors, at, unknown};
use crate::enhancers;

/// Names that the protocol keeps for itself.
const RESERVED: &[&str] = &[
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

pub(crate) fn expand(args: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    if !args.is_empty() {
        errors.at(
            args,
            "`#[subscriptions]` takes no options; they belong to `#[subscribe_message(\"event\", ..)]`",
        );
    }
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
            continue;
        }
        // Extractors are owned because the message is gone when an async handler runs.
        method.attrs.push(
            parse_quote!(#[allow(clippy::needless_pass_by_value, reason = "extractors are taken by value")]),
        );
        let before = errors.is_empty();
        let enhancers = enhancers::take(&mut method.attrs, &mut errors);
        check_signature(method, &mut errors);
        for attribute in attributes {
            match attribute.parse_args::<Subscribe>() {
                Ok(subscribe) => {
                    check_event(&subscribe.event, &mut seen, &mut errors);
                    if before && errors.is_empty() {
                        entries.push(entry(method, &subscribe, enhancers.as_ref()));
                    }
                }
                Err(error) if matches!(attribute.meta, syn::Meta::List(_)) => errors.push(error),
                Err(_) => errors.at(&attribute, "say which event: `#[subscribe_message(\"event\")]`"),
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

/// What stands in `#[subscribe_message(..)]`.
struct Subscribe {
    event: Expr,
    concurrent: Option<Option<Expr>>,
}

impl Parse for Subscribe {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let event: Expr = input.parse()?;
        if let Expr::Lit(literal) = &event
            && !matches!(literal.lit, Lit::Str(_))
        {
            return Err(Error::new(event.span(), "an event's name is a string"));
        }
        let mut concurrent = None;
        while !input.is_empty() {
            input.parse::<Token![,]>()?;
            if input.is_empty() {
                break;
            }
            let name: Ident = input.parse()?;
            if name != "concurrent" {
                return Err(unknown(&name, &["concurrent"]));
            }
            let limit = if input.peek(Token![=]) {
                input.parse::<Token![=]>()?;
                Some(input.parse()?)
            } else {
                None
            };
            concurrent = Some(limit);
        }
        Ok(Self { event, concurrent })
    }
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

fn check_signature(method: &ImplItemFn, errors: &mut Errors) {
    let signature = &method.sig;
    match signature.receiver() {
        Some(receiver) if matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) => {}
        Some(receiver) => errors.at(
            receiver,
            "a handler takes `&self`: one gateway serves all clients at once",
        ),
        None => errors.at(&signature.ident, "a handler takes `&self` first"),
    }
    if let Some(parameter) = signature.generics.params.first() {
        errors.at(
            parameter,
            "a handler has no parameters of its own: each argument must have one concrete type",
        );
    }
    if let Some(variadic) = &signature.variadic {
        errors.at(variadic, "a handler has a fixed number of arguments");
    }
    for input in &signature.inputs {
        if let FnArg::Typed(argument) = input
            && let Type::ImplTrait(ty) = &*argument.ty
        {
            errors.at(ty, "each argument of a handler must have one concrete type");
        }
    }
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

/// `Subscription::new(event, handler, call)`.
fn entry(method: &ImplItemFn, subscribe: &Subscribe, enhancers: Option<&TokenStream>) -> TokenStream {
    let event = &subscribe.event;
    let handler = &method.sig.ident;
    let name = handler.to_string();
    let types: Vec<&Type> = method
        .sig
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(argument) => Some(&*argument.ty),
            FnArg::Receiver(_) => None,
        })
        .collect();
    let arguments: Vec<Ident> = (0..types.len())
        .map(|at| format_ident!("__argument{at}"))
        .collect();
    let extract = types.iter().zip(&arguments).map(|(ty, argument)| {
        quote_spanned! { at(ty) =>
            let #argument = extract::<#ty>(__cx)?;
        }
    });
    let extract = quote! { #(#extract)* };
    let answer = answer(&method.sig.output);
    let body = if method.sig.asyncness.is_some() {
        quote! {
            #extract
            let mut __reply = __cx.detach();
            let __gateway = ::std::sync::Arc::clone(__gateway);
            ::core::option::Option::Some(::std::boxed::Box::pin(async move {
                match catch_panic(Self::#handler(&__gateway, #(#arguments),*)).await {
                    ::core::result::Result::Ok(__value) => {
                        let __reply = __reply.reply();
                        #answer
                    }
                    ::core::result::Result::Err(__panic) => __reply.panicked(&*__panic),
                }
            }))
        }
    } else {
        quote! {
            #extract
            let __value = Self::#handler(__gateway, #(#arguments),*);
            let __reply = __cx.reply();
            #answer
            ::core::option::Option::None
        }
    };
    let concurrent = subscribe.concurrent.as_ref().map(|limit| {
        let limit = match limit {
            Some(limit) => quote! { #limit },
            None => quote! { ::gatewire::gateway::CONCURRENT_LIMIT },
        };
        quote! { .concurrent(#limit) }
    });
    let enhance = enhancers.map(|enhancers| quote! { .enhance(#enhancers) });
    quote! {
        ::gatewire::gateway::Subscription::new(
            #event,
            #name,
            #[allow(clippy::let_unit_value, clippy::unit_arg, reason = "a handler may return nothing")]
            |__gateway: &::std::sync::Arc<Self>, __cx: &::gatewire::gateway::MessageContext<'_>| { #body },
        )
        #concurrent
        #enhance
    }
}

/// Statements that answer with `__value` through `__reply`, by the concrete type of each layer of the result.
fn answer(output: &ReturnType) -> TokenStream {
    let span = match output {
        ReturnType::Default => proc_macro2::Span::call_site(),
        ReturnType::Type(_, ty) => at(ty),
    };
    quote_spanned! { span =>
        match (&Tag::of(&__value)).result().split(__value) {
            ::core::result::Result::Err(__exception) => __reply.exception(__exception),
            ::core::result::Result::Ok(__value) => match (&Tag::of(&__value)).option().split(__value) {
                ::core::option::Option::None => __reply.nothing(),
                ::core::option::Option::Some(__value) => (&Tag::of(&__value)).kind().send(__value, __reply),
            },
        }
    }
}
