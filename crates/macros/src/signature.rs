//! What the methods are like that handle messages or requests.

use syn::{FnArg, ImplItemFn, ReceiverKind, Type};

use crate::diagnostics::Errors;

/// Whether a method can be a handler; `shared` says what it is a method of, and whom that serves.
pub(crate) fn check(method: &ImplItemFn, shared: &str, errors: &mut Errors) {
    let signature = &method.sig;
    match signature.receiver() {
        Some(receiver) if matches!(receiver.kind, ReceiverKind::Reference(_, _, None)) => {}
        Some(receiver) => errors.at(receiver, format!("a handler takes `&self`: {shared} at once")),
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
