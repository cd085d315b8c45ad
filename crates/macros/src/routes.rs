//! `#[routes]` and the `#[get(..)]`, `#[post(..)]`, `#[sse(..)]` and so on inside: collects the marked methods, judges them,
//! and writes for each the function that takes its arguments from a request, calls it and answers.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, FnArg, ImplItem, ImplItemFn, ItemImpl, LitStr, Meta, ReturnType, Token, Type,
    parse_quote,
};

use crate::controller::path;
use crate::diagnostics::{Errors, at, unknown};
use crate::enhancers;
use crate::signature;

/// The attributes of handlers, with their methods.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("sse", "GET"),
];

/// What `method = ..` of `#[sse]` may be.
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];

pub(crate) fn expand(args: &TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    if !args.is_empty() {
        errors.at(args, "`#[routes]` takes no options");
    }
    let mut block = match syn::parse2::<ItemImpl>(item.clone()) {
        Ok(block) if block.trait_.is_none() && block.generics.params.is_empty() => block,
        _ => {
            let error = Error::new(
                item.span(),
                "`#[routes]` is for an `impl Controller { .. }` block without a trait",
            )
            .into_compile_error();
            return quote! { #item #error };
        }
    };
    enhancers::refuse_pipes(&block.attrs, &mut errors);
    let enhancers = enhancers::take(&mut block.attrs, &mut errors).map(|enhancers| {
        quote! {
            fn enhancers() -> ::gatewire::pipeline::Enhancers { #enhancers }
        }
    });
    let mut seen: Vec<(String, String)> = Vec::new();
    let mut entries = Vec::new();
    for item in &mut block.items {
        let ImplItem::Fn(method) = item else { continue };
        let attributes = take(&mut method.attrs);
        if attributes.is_empty() {
            continue;
        }
        method.attrs.push(
            parse_quote!(#[allow(clippy::needless_pass_by_value, reason = "extractors are taken by value")]),
        );
        let before = errors.is_empty();
        enhancers::refuse_pipes(&method.attrs, &mut errors);
        let enhancers = enhancers::take(&mut method.attrs, &mut errors);
        signature::check(method, "one controller serves all requests", &mut errors);
        check_body(method, &mut errors);
        for (attribute, (name, verb)) in attributes {
            match Route::read(&attribute, name, verb) {
                Ok(route) => {
                    let key = (
                        route.method.to_string(),
                        route.path.value().trim_matches('/').to_owned(),
                    );
                    if seen.contains(&key) {
                        errors.at(
                            &route.path,
                            format!("{} {:?} has a handler already", route.method, route.path.value()),
                        );
                    }
                    seen.push(key);
                    if before && errors.is_empty() {
                        entries.push(entry(method, &route, enhancers.as_ref()));
                    }
                }
                Err(error) => errors.push(error),
            }
        }
    }
    let controller = &block.self_ty;
    let errors = errors.into_tokens();
    quote! {
        #block

        #[automatically_derived]
        impl ::gatewire::controller::Routes for #controller {
            fn routes() -> ::std::vec::Vec<::gatewire::controller::ControllerRoute<Self>> {
                #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                use ::gatewire::__private::route::*;
                ::std::vec![#(#entries),*]
            }

            #enhancers
        }

        #errors
    }
}

/// One of the attributes that no `#[routes]` has taken.
pub(crate) fn misplaced(name: &str, item: &TokenStream) -> TokenStream {
    let error = Error::new(
        Span::call_site(),
        format!("`#[{name}]` works inside an impl block that is marked with `#[routes]`"),
    )
    .into_compile_error();
    quote! { #item #error }
}

/// `"/path"`, and for `#[sse]` `method = POST`.
struct Route {
    path: LitStr,
    method: Ident,
    is_sse: bool,
}

impl Route {
    fn read(attribute: &Attribute, name: &str, verb: &str) -> syn::Result<Self> {
        let is_sse = name == "sse";
        let mut route = Self {
            path: LitStr::new("/", attribute.span()),
            method: Ident::new(verb, Span::call_site()),
            is_sse,
        };
        match &attribute.meta {
            Meta::Path(_) => {}
            Meta::NameValue(_) => {
                return Err(Error::new(
                    attribute.span(),
                    format!("write `#[{name}(\"/path\")]`"),
                ));
            }
            Meta::List(_) => {
                let args: Args = attribute.parse_args()?;
                if let Some(path) = args.path {
                    route.path = path;
                }
                if let Some((option, method)) = args.method {
                    if !is_sse {
                        return Err(Error::new(
                            option.span(),
                            format!("the method of `#[{name}]` is its name; `#[sse]` has an option `method`"),
                        ));
                    }
                    route.method = method;
                }
            }
        }
        Ok(route)
    }
}

#[derive(Default)]
struct Args {
    path: Option<LitStr>,
    method: Option<(Ident, Ident)>,
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
            if name != "method" {
                return Err(unknown(&name, &["method"]));
            }
            if args.method.is_some() {
                return Err(Error::new(name.span(), "`method` is written twice"));
            }
            input.parse::<Token![=]>()?;
            let method: Ident = input.parse()?;
            if !METHODS.contains(&method.to_string().as_str()) {
                return Err(Error::new(
                    method.span(),
                    format!("write one of the methods {}", METHODS.join(", ")),
                ));
            }
            args.method = Some((name, method));
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(args)
    }
}

/// Extractors that read the body, of axum and of ours. There may be others; the compiler refuses those in words of its own.
const BODIES: &[&str] = &[
    "Bytes",
    "Form",
    "Json",
    "Multipart",
    "RawForm",
    "Request",
    "String",
    "Valid",
];

/// A body can be read once, when all else has been taken from the request.
fn check_body(method: &ImplItemFn, errors: &mut Errors) {
    let types = method.sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(&*argument.ty),
        FnArg::Receiver(_) => None,
    });
    let types: Vec<&Type> = types.collect();
    let Some((_, before)) = types.split_last() else {
        return;
    };
    for ty in before {
        if let Type::Path(path) = ty
            && let Some(last) = path.path.segments.last()
            && BODIES.iter().any(|body| last.ident == body)
        {
            errors.at(
                ty,
                format!(
                    "`{}` reads the body of the request, and so must be the last parameter",
                    last.ident
                ),
            );
        }
    }
}

/// Removes and returns the attributes of a handler, however their path is written.
fn take(attributes: &mut Vec<Attribute>) -> Vec<(Attribute, (&'static str, &'static str))> {
    let mut taken = Vec::new();
    for attribute in std::mem::take(attributes) {
        let last = attribute.path().segments.last();
        let known = ATTRIBUTES
            .iter()
            .find(|(name, _)| last.is_some_and(|last| last.ident == name));
        match known {
            Some(known) => taken.push((attribute, *known)),
            None => attributes.push(attribute),
        }
    }
    taken
}

/// `ControllerRoute::new(method, path, handler, call)`.
fn entry(method: &ImplItemFn, route: &Route, enhancers: Option<&TokenStream>) -> TokenStream {
    let Route {
        path,
        method: verb,
        is_sse,
    } = route;
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
        .map(|index| format_ident!("__argument{index}"))
        .collect();
    let extract = extract(&types, &arguments);
    let span = match &method.sig.output {
        ReturnType::Default => Span::call_site(),
        ReturnType::Type(_, ty) => at(ty),
    };
    let awaited = method.sig.asyncness.map(|_| quote! { .await });
    let answer = if *is_sse { stream(span) } else { once(span) };
    let events = is_sse.then(|| quote! { .events() });
    let enhance = enhancers.map(|enhancers| quote! { .enhance(#enhancers) });
    quote_spanned! { span =>
        ::gatewire::controller::ControllerRoute::new(
            Method::#verb,
            #path,
            #name,
            #[allow(clippy::let_unit_value, clippy::unit_arg, unused_variables, reason = "a handler may take and return nothing")]
            |__controller: &::std::sync::Arc<Self>, __request: Request, __emitter: ::gatewire::controller::Emitter| {
                let __controller = ::std::sync::Arc::clone(__controller);
                ::std::boxed::Box::pin(async move {
                    #extract
                    let __value = Self::#handler(&__controller, #(#arguments),*) #awaited;
                    match (&Tag::of(&__value)).result().split(__value) {
                        ::core::result::Result::Err(__exception) => ::core::result::Result::Err(__exception),
                        ::core::result::Result::Ok(__value) => #answer,
                    }
                })
            },
        )
        #events
        #enhance
    }
}

/// Takes the arguments from the request; the last one may read its body.
fn extract(types: &[&Type], arguments: &[Ident]) -> TokenStream {
    let (Some((last, parts)), Some((last_argument, part_arguments))) =
        (types.split_last(), arguments.split_last())
    else {
        return TokenStream::new();
    };
    let parts = parts.iter().zip(part_arguments).map(|(ty, argument)| {
        quote_spanned! { at(ty) =>
            let #argument = part::<#ty>(&mut __parts).await?;
        }
    });
    let last = quote_spanned! { at(last) =>
        let #last_argument = last::<#last, _>(__request).await?;
    };
    if types.len() == 1 {
        return last;
    }
    quote! {
        let (mut __parts, __body) = __request.into_parts();
        #(#parts)*
        let __request = Request::from_parts(__parts, __body);
        #last
    }
}

/// Answers with a value or a response.
fn once(span: Span) -> TokenStream {
    quote_spanned! { span => (&Tag::of(&__value)).kind().answer(__value) }
}

/// Answers with a stream, whose items become events by the concrete type of each of their layers.
fn stream(span: Span) -> TokenStream {
    quote_spanned! { span =>
        match (&Tag::of(&__value)).option().split(__value) {
            ::core::option::Option::None => ::core::result::Result::Ok(no_more()),
            ::core::option::Option::Some(__value) => {
                (&Tag::of(&__value))
                    .source()
                    .answer(__value, __emitter, |__item| match (&Tag::of(&__item)).result().split(__item) {
                        ::core::result::Result::Err(__exception) => ::core::result::Result::Err(__exception),
                        ::core::result::Result::Ok(__item) => (&Tag::of(&__item)).item().event(__item),
                    })
                    .await
            }
        }
    }
}
