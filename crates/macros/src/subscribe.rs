//! What stands in `#[subscribe_message(..)]`, and in `#[subscriptions(..)]` for all handlers of a block.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::parse::{Parse, ParseStream};
use syn::spanned::Spanned;
use syn::{Error, Expr, ExprLit, Ident, Lit, LitStr, Token};

use crate::diagnostics::{at, unknown};

/// What is said of an attribute without an event.
pub(crate) const NO_EVENT: &str = "say which event: `#[subscribe_message(\"event\")]`";

/// `"event", concurrent, timeout = "2s"`.
pub(crate) struct Subscribe {
    pub(crate) event: Expr,
    pub(crate) flow: Flow,
}

impl Parse for Subscribe {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.is_empty() || (input.peek(Ident) && input.peek2(Token![=])) {
            return Err(Error::new(input.span(), NO_EVENT));
        }
        let event: Expr = input.parse()?;
        if let Expr::Lit(literal) = &event
            && !matches!(literal.lit, Lit::Str(_))
        {
            return Err(Error::new(event.span(), "an event's name is a string"));
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
        Ok(Self {
            event,
            flow: input.parse()?,
        })
    }
}

/// How calls follow each other, and how long they may go on: calls on `Subscription`, with the names of the options.
#[derive(Default)]
pub(crate) struct Flow {
    concurrent: Option<(Ident, TokenStream)>,
    timeout: Option<(Ident, TokenStream)>,
    on_disconnect: Option<(Ident, TokenStream)>,
}

const OPTIONS: &[&str] = &["concurrent", "timeout", "on_disconnect"];

impl Flow {
    /// What is not said here is as `defaults` say.
    pub(crate) fn complete(&mut self, defaults: &Self) {
        for (own, default) in [
            (&mut self.concurrent, &defaults.concurrent),
            (&mut self.timeout, &defaults.timeout),
            (&mut self.on_disconnect, &defaults.on_disconnect),
        ] {
            if own.is_none() {
                own.clone_from(default);
            }
        }
    }

    /// The name of an option that is said.
    pub(crate) fn first(&self) -> Option<&Ident> {
        self.options().map(|(name, _)| name).next()
    }

    /// The calls on a `Subscription`.
    pub(crate) fn calls(&self) -> TokenStream {
        self.options().map(|(_, call)| call.clone()).collect()
    }

    fn options(&self) -> impl Iterator<Item = &(Ident, TokenStream)> {
        [&self.concurrent, &self.timeout, &self.on_disconnect]
            .into_iter()
            .flatten()
    }
}

impl Parse for Flow {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut flow = Self::default();
        while !input.is_empty() {
            let name: Ident = input.parse()?;
            let value = if input.peek(Token![=]) {
                input.parse::<Token![=]>()?;
                Some(input.parse::<Expr>()?)
            } else {
                None
            };
            let (slot, call) = match (name.to_string().as_str(), value) {
                ("concurrent", None) => (
                    &mut flow.concurrent,
                    quote! { .concurrent(::gatewire::gateway::CONCURRENT_LIMIT) },
                ),
                ("concurrent", Some(limit)) => {
                    if is_zero(&limit) {
                        return Err(Error::new(
                            limit.span(),
                            "at least one call must be allowed to run",
                        ));
                    }
                    (&mut flow.concurrent, quote! { .concurrent(#limit) })
                }
                ("timeout", Some(value)) => (&mut flow.timeout, timeout(&value)?),
                ("on_disconnect", Some(value)) => (&mut flow.on_disconnect, on_disconnect(&value)?),
                ("timeout", None) => return Err(Error::new(name.span(), "write `timeout = \"2s\"`")),
                ("on_disconnect", None) => return Err(Error::new(name.span(), ON_DISCONNECT)),
                _ => return Err(unknown(&name, OPTIONS)),
            };
            if slot.is_some() {
                return Err(Error::new(name.span(), format!("`{name}` is written twice")));
            }
            *slot = Some((name, call));
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(flow)
    }
}

const ON_DISCONNECT: &str = "write `on_disconnect = \"wait\"` or `on_disconnect = \"cancel\"`";

fn on_disconnect(value: &Expr) -> syn::Result<TokenStream> {
    let what = match text(value).map(LitStr::value).as_deref() {
        Some("wait") => quote! { Wait },
        Some("cancel") => quote! { Cancel },
        _ => return Err(Error::new(value.span(), ON_DISCONNECT)),
    };
    Ok(quote! { .on_disconnect(::gatewire::gateway::OnDisconnect::#what) })
}

/// A string such as "2s", or milliseconds.
fn timeout(value: &Expr) -> syn::Result<TokenStream> {
    let milliseconds = match text(value) {
        None => quote! { #value },
        Some(text) => {
            let milliseconds = milliseconds(&text.value()).ok_or_else(|| {
                Error::new(
                    text.span(),
                    "write a number with its unit (`ms`, `s`, `min`, `h`), such as \"2s\", or milliseconds",
                )
            })?;
            quote! { #milliseconds }
        }
    };
    if is_zero(value) || milliseconds.to_string() == "0u64" {
        return Err(Error::new(value.span(), "no handler is done in no time"));
    }
    Ok(quote_spanned! { at(value) => .timeout(::core::time::Duration::from_millis(#milliseconds)) })
}

fn milliseconds(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn text(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit {
            lit: Lit::Str(text), ..
        }) => Some(text),
        _ => None,
    }
}

fn is_zero(value: &Expr) -> bool {
    matches!(value, Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) if matches!(number.base10_parse::<u64>(), Ok(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (text, read) in [
            ("2s", Some(2_000)),
            ("250ms", Some(250)),
            ("1 min", Some(60_000)),
            ("3h", Some(10_800_000)),
            ("2", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("1.5s", None),
            ("99999999999999999999s", None),
            ("18446744073709551615s", None),
        ] {
            assert_eq!(milliseconds(text), read, "{text}");
        }
    }
}
