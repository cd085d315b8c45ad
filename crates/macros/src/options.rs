//! The options of `#[websocket_gateway(..)]`, read into calls on `GatewayOptions`.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprArray, ExprLit, Lit, Token, parenthesized, token};

use crate::diagnostics::{at, unknown};

const GATEWAY: &[&str] = &[
    "namespace",
    "path",
    "port",
    "cors",
    "transports",
    "ping_interval",
    "ping_timeout",
    "max_http_buffer_size",
    "connect_timeout",
    "upgrade_timeout",
    "allow_upgrades",
    "codec",
    "options",
];
const CORS: &[&str] = &[
    "origin",
    "methods",
    "allowed_headers",
    "exposed_headers",
    "credentials",
    "max_age",
];

/// What the attribute says.
pub(crate) struct GatewayArgs {
    /// An expression of type `GatewayOptions`.
    pub(crate) options: TokenStream,
    /// The function that completes them at start.
    pub(crate) late: Option<Expr>,
}

pub(crate) fn gateway_options(args: TokenStream) -> syn::Result<GatewayArgs> {
    if let Ok(value) = syn::parse::Parser::parse2(first_literal, args.clone()) {
        let name = if matches!(value, Lit::Int(_)) {
            "port"
        } else {
            "namespace"
        };
        let value = value.to_token_stream();
        return Err(Error::new(
            value.span(),
            format!("options have names: write `{name} = {value}`"),
        ));
    }
    let options = parse(args, GATEWAY)?;
    let mut calls = TokenStream::new();
    let mut late = None;
    for Opt { name, value } in &options {
        let call = match (name.to_string().as_str(), value) {
            ("cors", Value::Flag) => quote! { .cors(::core::default::Default::default()) },
            ("cors", Value::List(list)) => {
                let cors = cors(list.clone())?;
                quote! { .cors(#cors) }
            }
            ("cors", Value::Expr(value)) => {
                return Err(Error::new(value.span(), "write `cors(origin = ..)`"));
            }
            (_, Value::List(_) | Value::Flag) => {
                return Err(Error::new(name.span(), format!("write `{name} = ..`")));
            }
            ("namespace", Value::Expr(value)) => {
                check_namespace(value)?;
                quote! { .namespace(#value) }
            }
            ("path", Value::Expr(value)) => {
                check_path(value)?;
                quote! { .path(#value) }
            }
            ("options", Value::Expr(value)) => {
                late = Some(value.clone());
                continue;
            }
            ("port" | "codec", Value::Expr(value)) => quote! { .#name(#value) },
            ("transports", Value::Expr(value)) => {
                let kinds = transports(value)?;
                quote! { .transports([#(#kinds),*]) }
            }
            ("max_http_buffer_size" | "allow_upgrades", Value::Expr(value)) => quote! { .#name(#value) },
            (_, Value::Expr(value)) => {
                quote_spanned! { at(value) => .#name(::core::time::Duration::from_millis(#value)) }
            }
        };
        calls.extend(call);
    }
    Ok(GatewayArgs {
        options: quote! { ::gatewire::gateway::GatewayOptions::new() #calls },
        late,
    })
}

/// A port or a name that stands there by itself, as in NestJS.
fn first_literal(input: ParseStream<'_>) -> syn::Result<Lit> {
    let value = input.parse()?;
    input.parse::<TokenStream>()?;
    Ok(value)
}

/// An expression of type `Cors`.
fn cors(args: TokenStream) -> syn::Result<TokenStream> {
    let mut fields = TokenStream::new();
    for Opt { name, value } in parse(args, CORS)? {
        let Value::Expr(value) = value else {
            return Err(Error::new(name.span(), format!("write `{name} = ..`")));
        };
        let value = match name.to_string().as_str() {
            "origin" => origin(&value)?,
            "methods" | "exposed_headers" => strings(&value)?,
            "allowed_headers" | "max_age" => {
                let value = if name == "max_age" {
                    quote! { #value }
                } else {
                    strings(&value)?
                };
                quote! { ::core::option::Option::Some(#value) }
            }
            _ => quote! { #value },
        };
        fields.extend(quote! { #name: #value, });
    }
    Ok(quote! { ::gatewire::gateway::Cors { #fields ..::core::default::Default::default() } })
}

fn origin(value: &Expr) -> syn::Result<TokenStream> {
    let kind = quote! { ::gatewire::gateway::Origin };
    match value {
        Expr::Array(_) => {
            let list = strings(value)?;
            Ok(quote! { #kind::List(#list) })
        }
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) if text.value() == "*" => Ok(quote! { #kind::Any }),
        Expr::Lit(ExprLit {
            lit: Lit::Bool(flag), ..
        }) if flag.value => Ok(quote! { #kind::Reflect }),
        Expr::Lit(ExprLit {
            lit: Lit::Bool(_), ..
        }) => Err(Error::new(
            value.span(),
            "leave `cors` out to allow no other origin",
        )),
        one => Ok(quote! { #kind::List(::std::vec![::std::string::String::from(#one)]) }),
    }
}

/// An expression of type `Vec<String>`.
fn strings(value: &Expr) -> syn::Result<TokenStream> {
    let Expr::Array(ExprArray { elems, .. }) = value else {
        return Err(Error::new(
            value.span(),
            "write a list of strings: `[\"..\", \"..\"]`",
        ));
    };
    let elems = elems.iter();
    Ok(quote! { ::std::vec![#(::std::string::String::from(#elems)),*] })
}

fn transports(value: &Expr) -> syn::Result<Vec<TokenStream>> {
    let Expr::Array(ExprArray { elems, .. }) = value else {
        return Err(Error::new(
            value.span(),
            "write a list such as `[\"polling\", \"websocket\"]`",
        ));
    };
    if elems.is_empty() {
        return Err(Error::new(
            value.span(),
            "at least one transport is needed: \"polling\", \"websocket\"",
        ));
    }
    elems
        .iter()
        .map(|elem| match string(elem).as_deref() {
            Some("polling") => Ok(quote! { ::gatewire::gateway::TransportKind::Polling }),
            Some("websocket") => Ok(quote! { ::gatewire::gateway::TransportKind::WebSocket }),
            _ => Err(Error::new(
                elem.span(),
                "unknown transport; the transports are \"polling\" and \"websocket\"",
            )),
        })
        .collect()
}

fn check_path(value: &Expr) -> syn::Result<()> {
    match string(value) {
        Some(path) if !path.starts_with('/') => Err(Error::new(
            value.span(),
            format!("a path starts with `/`: \"/{path}\""),
        )),
        _ => Ok(()),
    }
}

fn check_namespace(value: &Expr) -> syn::Result<()> {
    match string(value) {
        Some(name) if name.contains([',', '?']) => Err(Error::new(
            value.span(),
            "a namespace has no `,` and no `?`: the protocol ends its name there",
        )),
        _ => Ok(()),
    }
}

fn string(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) => Some(text.value()),
        _ => None,
    }
}

struct Opt {
    name: Ident,
    value: Value,
}

enum Value {
    Flag,
    Expr(Expr),
    List(TokenStream),
}

impl Parse for Opt {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let name: Ident = input.parse()?;
        let value = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            Value::Expr(input.parse()?)
        } else if input.peek(token::Paren) {
            let content;
            parenthesized!(content in input);
            Value::List(content.parse()?)
        } else {
            Value::Flag
        };
        Ok(Self { name, value })
    }
}

fn parse(args: TokenStream, known: &[&str]) -> syn::Result<Vec<Opt>> {
    let options: Vec<Opt> = syn::parse::Parser::parse2(Punctuated::<Opt, Token![,]>::parse_terminated, args)?
        .into_iter()
        .collect();
    let mut errors: Option<Error> = None;
    for (index, option) in options.iter().enumerate() {
        let error = if !known.iter().any(|known| option.name == known) {
            unknown(&option.name, known)
        } else if options[..index].iter().any(|before| before.name == option.name) {
            Error::new(option.name.span(), format!("`{}` is written twice", option.name))
        } else {
            continue;
        };
        match &mut errors {
            Some(all) => all.combine(error),
            None => errors = Some(error),
        }
    }
    errors.map_or(Ok(options), Err)
}
