//! `#[websocket_gateway]`: an injectable struct that is bound to a namespace. Which hooks and subscriptions it has
//! is found out by the compiler, in the expansion, from the traits that the concrete type implements.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};

use crate::diagnostics::{Errors, at};
use crate::enhancers;
use crate::injectable::{implement, parse_struct};
use crate::options::{GatewayArgs, gateway_options};

pub(crate) fn expand(args: TokenStream, item: &TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let mut item = match parse_struct(item, "websocket_gateway") {
        Ok(item) => item,
        Err(tokens) => return tokens,
    };
    let GatewayArgs { options, late } = gateway_options(args).unwrap_or_else(|error| {
        errors.push(error);
        GatewayArgs {
            options: quote! { ::gatewire::gateway::GatewayOptions::new() },
            late: None,
        }
    });
    let late = late.map(|factory| {
        let made = quote_spanned! { at(&factory) => ::gatewire::gateway::LateOptions::new(#factory) };
        quote! {
            fn late_options() -> ::core::option::Option<::gatewire::gateway::LateOptions> {
                ::core::option::Option::Some(#made)
            }
        }
    });
    let definition = quote! {
        fn gateway() -> ::core::option::Option<::gatewire::gateway::GatewayDefinition> {
            ::core::option::Option::Some(::gatewire::gateway::GatewayDefinition::of::<Self>())
        }
    };
    let enhancers = enhancers::take(&mut item.attrs, &mut errors).unwrap_or_else(|| {
        quote! { ::gatewire::pipeline::Enhancers::new() }
    });
    let injectable = implement(&mut item, Some(&definition), &mut errors);
    let name = &item.ident;
    let gateway = item.generics.params.is_empty().then(|| {
        quote! {
            #[automatically_derived]
            impl ::gatewire::gateway::Gateway for #name {
                fn options() -> ::gatewire::gateway::GatewayOptions {
                    #options
                }

                #late

                fn subscriptions() -> ::std::vec::Vec<::gatewire::gateway::Subscription<Self>> {
                    #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                    use ::gatewire::__private::probe::*;
                    (&Probe::<Self>::new()).subscriptions()
                }

                fn enhancers() -> ::gatewire::pipeline::Enhancers {
                    #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                    use ::gatewire::__private::probe::*;
                    #enhancers.and((&Probe::<Self>::new()).enhancers())
                }

                fn hooks() -> ::gatewire::gateway::Hooks<Self> {
                    #[allow(unused_imports, reason = "which of the traits apply is found out by the compiler")]
                    use ::gatewire::__private::probe::*;
                    let __probe = &Probe::<Self>::new();
                    ::gatewire::gateway::Hooks {
                        init: __probe.init(),
                        connection: __probe.connection(),
                        disconnect: __probe.disconnect(),
                    }
                }
            }
        }
    });
    let errors = errors.into_tokens();
    quote! { #item #injectable #gateway #errors }
}
