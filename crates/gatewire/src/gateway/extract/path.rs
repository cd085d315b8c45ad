//! The parameters of a namespace's pattern, by type.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, EnumAccess, IntoDeserializer, VariantAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::{FromMessage, PathRejection};
use crate::gateway::MessageContext;
use crate::{Server, Socket};

/// What stands for the parameters in the name of the client's namespace: for a gateway of the namespace `/room-:id` the
/// `12` of `/room-12`.
///
/// `T` may be a single value where there is one parameter, a struct with a field for each, or a tuple in their order. In
/// `handle_connection` and guards, [`Path::of`] takes them of the client, and `?` refuses who has others.
///
/// ```
/// use gatewire::prelude::*;
/// use serde::Deserialize;
///
/// #[derive(Clone, Copy, Deserialize)]
/// struct RoomId(u32);
///
/// #[websocket_gateway(namespace = "/room-:id")]
/// struct RoomGateway {
///     #[websocket_server]
///     every_room: ParentServer,
/// }
///
/// impl OnGatewayConnection for RoomGateway {
///     async fn handle_connection(&self, client: &Socket) -> Result<(), WsException> {
///         let Path(RoomId(id)) = Path::of(client)?;
///         if id > 99 { Err("no such room".into()) } else { Ok(()) }
///     }
/// }
///
/// #[subscriptions]
/// impl RoomGateway {
///     #[subscribe_message("say")]
///     fn say(&self, Path(RoomId(id)): Path<RoomId>, room: Server, MessageBody(text): MessageBody<String>) {
///         room.emit("said", &text);
///         self.every_room.emit("talked", &id);
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> Path<T> {
    /// The parameters of the namespace that `client` is in.
    ///
    /// # Errors
    /// If they are no `T`.
    pub fn of(client: &Socket) -> Result<Self, PathRejection> {
        Self::of_namespace(client.namespace())
    }

    fn of_namespace(namespace: &Server) -> Result<Self, PathRejection> {
        let params = namespace.params();
        T::deserialize(Params(&params))
            .map(Self)
            .map_err(|Misfit(reason)| PathRejection::Misfit { reason })
    }
}

impl<T: DeserializeOwned> FromMessage for Path<T> {
    type Rejection = PathRejection;

    fn from_message(message: &MessageContext<'_>) -> Result<Self, PathRejection> {
        Self::of(message.socket())
    }
}

/// All parameters, with their names.
struct Params<'p>(&'p [(&'p str, &'p str)]);

/// One of them.
#[derive(Clone, Copy)]
struct Param<'p>(&'p str);

#[derive(Debug)]
struct Misfit(String);

impl std::error::Error for Misfit {}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl<'p> Params<'p> {
    fn single(&self) -> Result<Param<'p>, Misfit> {
        match self.0 {
            [(_, value)] => Ok(Param(value)),
            params => Err(Misfit(format!("there are {} parameters, not one", params.len()))),
        }
    }

    fn values(&self) -> impl Iterator<Item = Param<'p>> + use<'p> {
        self.0.iter().map(|(_, value)| Param(value))
    }
}

macro_rules! of_single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
            self.single()?.$method(visitor)
        }
    )*};
}

impl<'p> Deserializer<'p> for Params<'p> {
    type Error = Misfit;

    of_single! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_identifier
    }

    fn deserialize_unit<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'p>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'p>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_seq(SeqDeserializer::new(self.values()))
    }

    fn deserialize_tuple<V: Visitor<'p>>(self, len: usize, visitor: V) -> Result<V::Value, Misfit> {
        if self.0.len() != len {
            return Err(Misfit(format!(
                "there are {} parameters, not {len}",
                self.0.len()
            )));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'p>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_map<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
        let params = self.0.iter().map(|(name, value)| (*name, Param(value)));
        visitor.visit_map(MapDeserializer::new(params))
    }

    fn deserialize_struct<V: Visitor<'p>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'p>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.single()?.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }
}

impl Param<'_> {
    fn parse<T: std::str::FromStr>(self, expected: &str) -> Result<T, Misfit> {
        self.0
            .parse()
            .map_err(|_| Misfit(format!("{:?} is no {expected}", self.0)))
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $ty:ident)*) => {$(
        fn $method<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
            visitor.$visit(self.parse::<$ty>(stringify!($ty))?)
        }
    )*};
}

impl<'p> Deserializer<'p> for Param<'p> {
    type Error = Misfit;

    parsed! {
        deserialize_bool visit_bool bool
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
        deserialize_f32 visit_f32 f32
        deserialize_f64 visit_f64 f64
        deserialize_char visit_char char
    }

    fn deserialize_any<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_option<V: Visitor<'p>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'p>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'p>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'p>>
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'p> IntoDeserializer<'p, Misfit> for Param<'p> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The name of a variant without data.
impl<'p> EnumAccess<'p> for Param<'p> {
    type Error = Misfit;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'p>>(self, seed: V) -> Result<(V::Value, Self), Misfit> {
        let name = BorrowedStrDeserializer::<Misfit>::new(self.0);
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'p> VariantAccess<'p> for Param<'p> {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        Ok(())
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'p>>(self, _: T) -> Result<T::Value, Misfit> {
        Err(no_data())
    }

    fn tuple_variant<V: Visitor<'p>>(self, _: usize, _: V) -> Result<V::Value, Misfit> {
        Err(no_data())
    }

    fn struct_variant<V: Visitor<'p>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Misfit> {
        Err(no_data())
    }
}

fn no_data() -> Misfit {
    Misfit("a parameter is a variant without data".to_owned())
}

#[cfg(test)]
mod tests {
    use gatewire_hub::Io;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct RoomId(u32);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Named {
        floor: Floor,
        room: Option<i8>,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Floor {
        Ground,
        Top,
    }

    fn read<T: DeserializeOwned>(pattern: &str, name: &str) -> Result<T, String> {
        let io = Io::default();
        let _parent = io.of_pattern(pattern);
        let Path(value) = Path::of_namespace(&io.of(name)).map_err(|error| error.to_string())?;
        Ok(value)
    }

    #[test]
    fn parameters_are_read_by_type() {
        assert_eq!(read("/room-:id", "/room-12"), Ok(RoomId(12)));
        assert_eq!(read("/room-:id", "/room-12"), Ok(12u8));
        assert_eq!(read("/room-:id", "/room-12"), Ok("12".to_owned()));
        assert_eq!(read("/room-:id", "/room-12"), Ok((12i64,)));
        assert_eq!(read("/:a/:b", "/1/x"), Ok((1u8, 'x')));
        assert_eq!(read("/:a/:b", "/1/2"), Ok(vec![1u8, 2]));
        let named = Named {
            floor: Floor::Top,
            room: Some(-3),
        };
        assert_eq!(read("/:floor/:room", "/top/-3"), Ok(named));
        assert_eq!(read("/plain", "/plain"), Ok(()));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        for (error, told) in [
            (
                read::<RoomId>("/room-:id", "/room-x").map(drop),
                "\"x\" is no u32",
            ),
            (read::<u8>("/room-:id", "/room-300").map(drop), "\"300\" is no u8"),
            (
                read::<u8>("/:a/:b", "/1/2").map(drop),
                "there are 2 parameters, not one",
            ),
            (
                read::<(u8, u8)>("/room-:id", "/room-1").map(drop),
                "there are 1 parameters, not 2",
            ),
            (
                read::<u8>("/plain", "/plain").map(drop),
                "there are 0 parameters, not one",
            ),
            (
                read::<Named>("/:floor/:room", "/cellar/1").map(drop),
                "unknown variant `cellar`, expected `ground` or `top`",
            ),
        ] {
            assert_eq!(error.unwrap_err(), format!("Invalid namespace: {told}"));
        }
    }
}
