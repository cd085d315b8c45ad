use gatewire::prelude::*;

struct Answer;

#[websocket_gateway]
struct Events;

#[subscriptions]
impl Events {
    #[subscribe_message("ask")]
    async fn ask(&self) -> Answer {
        Answer
    }

    #[subscribe_message("try")]
    fn attempt(&self) -> Result<u8, std::io::Error> {
        Ok(1)
    }
}

fn main() {}
