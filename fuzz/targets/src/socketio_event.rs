//! The event scanner against serde_json: within the depth limit it accepts the same arrays, and cuts them into the
//! same elements.

use gatewire_proto::socketio::{DecodeError, Limits, scan_args, scan_event};
use serde_json::value::RawValue;

/// Runs the target on one input.
pub fn run(input: &[u8]) {
    let data = crate::text(input);
    let limits = Limits {
        max_depth: 8,
        ..Limits::default()
    };
    let reference = serde_json::from_str::<Vec<&RawValue>>(data);

    let args = scan_args(data, &limits);
    match (&args, &reference) {
        (Ok(args), Ok(reference)) => {
            assert!(depth(data) <= limits.max_depth);
            assert_eq!(args.len(), reference.len());
            assert!(args.iter().eq(reference.iter().map(|raw| raw.get())));
        }
        (Ok(_), Err(error)) => panic!("accepted, but serde_json says: {error}"),
        (Err(DecodeError::TooDeep), _) => assert!(depth(data) > limits.max_depth),
        (Err(error), Ok(_)) => panic!("serde_json accepts, but: {error}"),
        (Err(_), Err(_)) => {}
    }

    match scan_event(data, &limits) {
        Ok(event) => {
            let args = args.expect("an event is an array");
            let mut elements = args.iter();
            let name = elements.next().expect("an event has a name");
            match serde_json::from_str::<String>(name) {
                Ok(name) => assert_eq!(event.name, name),
                Err(_) => assert_eq!(event.name, name),
            }
            assert_eq!(event.args.len() + 1, args.len());
            assert!(elements.eq(event.args.iter()));
            assert!((0..event.args.len()).all(|index| event.args.get(index) == event.args.iter().nth(index)));
        }
        Err(DecodeError::EventName | DecodeError::ReservedEvent(_)) => {}
        Err(error) => assert_eq!(args, Err(error)),
    }
}

/// How deep the brackets outside strings nest.
fn depth(data: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in data.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
