//! One handler: from a method's signature to the `Subscription` that takes its arguments from the message, calls it and
//! answers with its result.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, FnArg, Ident, Lit, LitStr, Meta, ReturnType, Signature, Token, Type};

use crate::diagnostics::{Errors, at};
use crate::subscribe::Subscribe;

/// A parameter, and what its attribute says.
pub(crate) struct Parameter {
    ty: Type,
    body: Option<Body>,
}

/// `#[message_body("key", Pipe, ..)]`.
#[derive(Default)]
struct Body {
    key: Option<LitStr>,
    pipes: Vec<Expr>,
}

impl Parse for Body {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut body = Self::default();
        for expr in Punctuated::<Expr, Token![,]>::parse_terminated(input)? {
            match expr {
                Expr::Lit(ExprLit {
                    lit: Lit::Str(key), ..
                }) if body.key.is_none() && body.pipes.is_empty() => body.key = Some(key),
                Expr::Lit(literal) => {
                    return Err(syn::Error::new(
                        literal.span(),
                        "write `#[message_body(\"key\", Pipe, ..)]`: one key first, then pipes",
                    ));
                }
                pipe => body.pipes.push(pipe),
            }
        }
        Ok(body)
    }
}

impl Body {
    fn key(&self) -> TokenStream {
        match &self.key {
            Some(key) => quote! { ::core::option::Option::Some(#key) },
            None => quote! { ::core::option::Option::None },
        }
    }

    /// The pipes as one, with the gateway as `__gateway`; `None` without pipes.
    fn pipe(&self) -> Option<TokenStream> {
        let mut pipes = self.pipes.iter().rev().map(|pipe| {
            let tokens = with_gateway(pipe.to_token_stream());
            // A field stays where it is.
            if is_field(pipe) {
                quote! { &#tokens }
            } else {
                tokens
            }
        });
        let last = pipes.next()?;
        Some(pipes.fold(last, |rest, pipe| quote! { Chain(#pipe, #rest) }))
    }
}

/// Takes the attributes off the parameters.
pub(crate) fn parameters(signature: &mut Signature, errors: &mut Errors) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    for input in &mut signature.inputs {
        let FnArg::Typed(argument) = input else { continue };
        let mut body = None;
        for attribute in std::mem::take(&mut argument.attrs) {
            if !attribute.path().is_ident("message_body") {
                argument.attrs.push(attribute);
                continue;
            }
            if body.is_some() {
                errors.at(&attribute, "this parameter has its `#[message_body]` already");
            }
            let read = match &attribute.meta {
                Meta::Path(_) => Ok(Body::default()),
                _ => attribute.parse_args(),
            };
            body = Some(read.unwrap_or_else(|error| {
                errors.push(error);
                Body::default()
            }));
        }
        parameters.push(Parameter {
            ty: (*argument.ty).clone(),
            body,
        });
    }
    parameters
}

/// A method that handles events.
pub(crate) struct Handler<'a> {
    signature: &'a Signature,
    parameters: Vec<Parameter>,
}

impl<'a> Handler<'a> {
    pub(crate) fn new(signature: &'a Signature, parameters: Vec<Parameter>) -> Self {
        Self {
            signature,
            parameters,
        }
    }

    /// Whether a call may go on after the method was called, as far as can be seen.
    pub(crate) fn may_wait(&self) -> bool {
        self.signature.asyncness.is_some() || self.names_stream() || self.has_pipes()
    }

    fn has_pipes(&self) -> bool {
        let mut bodies = self.parameters.iter().flat_map(|parameter| &parameter.body);
        bodies.any(|body| !body.pipes.is_empty())
    }

    /// Whether the result is called a stream; such a one may borrow from the gateway.
    fn names_stream(&self) -> bool {
        matches!(&self.signature.output, ReturnType::Type(_, ty) if any_ident(ty.to_token_stream(), &|name| name.ends_with("Stream")))
    }

    /// `Subscription::new(event, handler, call)`.
    pub(crate) fn entry(&self, subscribe: &Subscribe, enhancers: Option<&TokenStream>) -> TokenStream {
        let event = &subscribe.event;
        let name = self.signature.ident.to_string();
        let body = if self.may_wait() {
            self.later()
        } else {
            self.at_once()
        };
        let flow = subscribe.flow.calls();
        let enhance = enhancers.map(|enhancers| quote! { .enhance(#enhancers) });
        quote! {
            ::gatewire::gateway::Subscription::new(
                #event,
                #name,
                #[allow(clippy::let_unit_value, clippy::unit_arg, reason = "a handler may return nothing")]
                |__gateway: &::std::sync::Arc<Self>, __cx: &::gatewire::gateway::MessageContext<'_>| { #body },
            )
            #flow
            #enhance
        }
    }

    /// The body of `call` for a method that has its result when it returns.
    fn at_once(&self) -> TokenStream {
        let handler = &self.signature.ident;
        let arguments = self.arguments();
        let extract = self.extract();
        let each = self.each();
        quote_spanned! { self.result_span() =>
            #extract
            let __value = Self::#handler(__gateway, #(#arguments),*);
            match (&Tag::of(&__value)).result().split(__value) {
                ::core::result::Result::Err(__exception) => {
                    __cx.reply().exception(__exception);
                    ::core::option::Option::None
                }
                ::core::result::Result::Ok(__value) => match (&Tag::of(&__value)).option().split(__value) {
                    ::core::option::Option::None => {
                        __cx.reply().nothing();
                        ::core::option::Option::None
                    }
                    ::core::option::Option::Some(__value) => {
                        (&Tag::of(&__value)).kind().answer(__value, __cx, #each)
                    }
                },
            }
        }
    }

    /// The body of `call` for a method whose result, or what its pipes make of its arguments, may have to be waited for.
    fn later(&self) -> TokenStream {
        let handler = &self.signature.ident;
        let arguments = self.arguments();
        let extract = self.extract();
        let pipes = self.transform();
        let each = self.each();
        let call = quote! { Self::#handler(&__gateway, #(#arguments),*) };
        let call = match self.signature.asyncness {
            Some(_) => call,
            None => quote! { async { #call } },
        };
        quote_spanned! { self.result_span() =>
            #extract
            let mut __reply = __cx.detach();
            let __gateway = ::std::sync::Arc::clone(__gateway);
            ::core::option::Option::Some(::std::boxed::Box::pin(async move {
                #pipes
                let __value = match __reply.run(#call).await {
                    ::core::result::Result::Ok(__value) => __value,
                    ::core::result::Result::Err(__stopped) => return __reply.stopped(__stopped),
                };
                match (&Tag::of(&__value)).result().split(__value) {
                    ::core::result::Result::Err(__exception) => __reply.reply().exception(__exception),
                    ::core::result::Result::Ok(__value) => match (&Tag::of(&__value)).option().split(__value) {
                        ::core::option::Option::None => __reply.reply().nothing(),
                        ::core::option::Option::Some(__value) => {
                            let __rest = (&Tag::of(&__value)).kind().finish(__value, &mut __reply, #each);
                            if let ::core::option::Option::Some(__rest) = __rest {
                                __rest.await;
                            }
                        }
                    },
                }
            }))
        }
    }

    /// Takes the arguments, or what their pipes begin with, from the message.
    fn extract(&self) -> TokenStream {
        let extract = self.parameters.iter().enumerate().map(|(index, parameter)| {
            let argument = argument(index);
            let ty = &parameter.ty;
            let extracted = match &parameter.body {
                None => quote_spanned! { at(ty) => extract::<#ty>(__cx) },
                Some(body) => {
                    let key = body.key();
                    match body.pipe() {
                        None => quote_spanned! { at(ty) => part::<#ty>(__cx, #key) },
                        Some(pipe) => quote_spanned! { at(ty) => pipe_input::<#ty, _>(__cx, #key, || #pipe) },
                    }
                }
            };
            quote_spanned! { at(ty) =>
                let #argument = #extracted?;
            }
        });
        quote! { #(#extract)* }
    }

    /// Sends the arguments through their pipes.
    fn transform(&self) -> TokenStream {
        let transform = self
            .parameters
            .iter()
            .enumerate()
            .filter_map(|(index, parameter)| {
                let argument = argument(index);
                let body = parameter.body.as_ref()?;
                let (pipe, key, ty) = (body.pipe()?, body.key(), &parameter.ty);
                Some(quote_spanned! { at(ty) =>
                    let #argument: #ty = {
                        let __pipe = #pipe;
                        let __argument = __reply.argument(#key);
                        match __reply.run(transform::<#ty, _>(&__pipe, #argument, &__argument)).await {
                            ::core::result::Result::Ok(::core::result::Result::Ok(__value)) => __value,
                            ::core::result::Result::Ok(::core::result::Result::Err(__exception)) => {
                                return __reply.reply().thrown(__exception);
                            }
                            ::core::result::Result::Err(__stopped) => return __reply.stopped(__stopped),
                        }
                    };
                })
            });
        quote! { #(#transform)* }
    }

    /// What is done with each item of a stream, by the concrete type of each of its layers.
    fn each(&self) -> TokenStream {
        quote_spanned! { self.result_span() =>
            |__value, __reply| match (&Tag::of(&__value)).result().split(__value) {
                ::core::result::Result::Err(__exception) => {
                    ::core::result::Result::Err(::core::convert::From::from(__exception))
                }
                ::core::result::Result::Ok(__value) => match (&Tag::of(&__value)).option().split(__value) {
                    ::core::option::Option::None => ::core::result::Result::Ok(()),
                    ::core::option::Option::Some(__value) => (&Tag::of(&__value)).kind().emit(__value, __reply),
                },
            }
        }
    }

    fn arguments(&self) -> Vec<Ident> {
        (0..self.parameters.len()).map(argument).collect()
    }

    fn result_span(&self) -> proc_macro2::Span {
        match &self.signature.output {
            ReturnType::Default => proc_macro2::Span::call_site(),
            ReturnType::Type(_, ty) => at(ty),
        }
    }
}

fn argument(index: usize) -> Ident {
    format_ident!("__argument{index}")
}

/// Whether an expression is a field of the gateway.
fn is_field(pipe: &Expr) -> bool {
    match pipe {
        Expr::Field(field) => is_field(&field.base),
        Expr::Path(path) => path.path.is_ident("self"),
        _ => false,
    }
}

/// The tokens with `__gateway` for `self`.
fn with_gateway(tokens: TokenStream) -> TokenStream {
    let replace = |token| match token {
        TokenTree::Ident(ident) if ident == "self" => TokenTree::Ident(Ident::new("__gateway", at(&ident))),
        TokenTree::Group(group) => {
            let mut replaced = Group::new(group.delimiter(), with_gateway(group.stream()));
            replaced.set_span(group.span());
            TokenTree::Group(replaced)
        }
        other => other,
    };
    tokens.into_iter().map(replace).collect()
}

fn any_ident(tokens: TokenStream, is_it: &dyn Fn(&str) -> bool) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => is_it(&ident.to_string()),
        TokenTree::Group(group) => any_ident(group.stream(), is_it),
        _ => false,
    })
}
