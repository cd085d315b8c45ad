//! The messages of the board.

use serde::{Deserialize, Serialize};

use crate::people::{Member, PersonName};

/// How many units the board is wide.
pub(crate) const WIDTH: u16 = 1600;
/// How many units the board is high.
pub(crate) const HEIGHT: u16 = 1000;
/// How many colours there are.
const COLORS: u8 = 6;
/// How many points one message may have.
const POINTS_AT_ONCE: usize = 256;

/// A point on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "[u16; 2]")]
pub(crate) struct Point(u16, u16);

/// One of the board's colours, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "u8")]
pub(crate) struct Color(u8);

/// The points of a stroke, or some more of them: 1 to 256.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "Vec<Point>")]
pub(crate) struct Points(pub(crate) Vec<Point>);

/// `join`: onto the board, under this name. The answer is a [`BoardView`].
#[derive(Debug, Deserialize)]
pub(crate) struct Join {
    pub(crate) name: PersonName,
}

/// `draw`: a stroke, or more of one that was begun with the same number.
#[derive(Debug, Deserialize)]
pub(crate) struct Draw {
    pub(crate) number: u32,
    pub(crate) color: Color,
    pub(crate) points: Points,
}

/// The answer to `join`: everything that the page shows.
#[derive(Debug, Serialize)]
pub(crate) struct BoardView {
    /// The client's own id, which is the author of what it draws.
    pub(crate) id: String,
    pub(crate) width: u16,
    pub(crate) height: u16,
    /// How many strokes stay; the oldest goes.
    pub(crate) limit: usize,
    /// The number of the last change that is in here.
    pub(crate) revision: u64,
    pub(crate) strokes: Vec<Stroke>,
    pub(crate) people: Vec<Member>,
}

/// Some points that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Stroke {
    pub(crate) author: String,
    pub(crate) number: u32,
    pub(crate) color: Color,
    pub(crate) points: Points,
}

/// To everybody, as `change`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Change {
    /// One more than that of the change before.
    pub(crate) revision: u64,
    /// What was drawn; none if the board was wiped.
    pub(crate) stroke: Option<Stroke>,
}

/// To the others, as `pointer`.
#[derive(Debug, Serialize)]
pub(crate) struct Pointer {
    pub(crate) id: String,
    pub(crate) at: Point,
}

impl TryFrom<[u16; 2]> for Point {
    type Error = &'static str;

    fn try_from([x, y]: [u16; 2]) -> Result<Self, Self::Error> {
        if x > WIDTH || y > HEIGHT {
            return Err("a point is on the board");
        }
        Ok(Self(x, y))
    }
}

impl TryFrom<u8> for Color {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number >= COLORS {
            return Err("a colour is 0 to 5");
        }
        Ok(Self(number))
    }
}

impl TryFrom<Vec<Point>> for Points {
    type Error = &'static str;

    fn try_from(points: Vec<Point>) -> Result<Self, Self::Error> {
        if points.is_empty() || points.len() > POINTS_AT_ONCE {
            return Err("1 to 256 points are drawn at once");
        }
        Ok(Self(points))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_on_the_board() {
        for (json, good) in [
            (r#"{"number":1,"color":5,"points":[[0,0],[1600,1000]]}"#, true),
            (r#"{"number":1,"color":6,"points":[[0,0]]}"#, false),
            (r#"{"number":1,"color":0,"points":[]}"#, false),
            (r#"{"number":1,"color":0,"points":[[1601,0]]}"#, false),
            (r#"{"number":1,"color":0,"points":[[0,-1]]}"#, false),
        ] {
            assert_eq!(serde_json::from_str::<Draw>(json).is_ok(), good, "{json}");
        }
    }
}
