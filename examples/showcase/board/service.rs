//! What is on the board and who is at it, without a network.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gatewire::prelude::*;

use super::dto::{BoardView, Change, Draw, HEIGHT, Stroke, WIDTH};
use crate::people::{Member, People, PersonName};

/// How many strokes stay.
const STROKES: usize = 500;
/// How many points a stroke may have.
const POINTS: usize = 4096;

/// The state of the board.
#[injectable]
pub(crate) struct BoardService {
    #[inject(default)]
    board: Mutex<Board>,
}

/// Why the board refuses something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BoardError {
    /// Only who has joined draws.
    NotHere,
    /// It would be a point too many.
    StrokeTooLong,
}

#[derive(Default)]
struct Board {
    revision: u64,
    /// In the order of their beginning.
    strokes: VecDeque<Stroke>,
    people: People,
}

impl BoardService {
    pub(crate) fn join(&self, id: &str, name: PersonName) -> BoardView {
        let mut board = self.lock();
        board.people.enter(id, name);
        BoardView {
            id: id.to_owned(),
            width: WIDTH,
            height: HEIGHT,
            limit: STROKES,
            revision: board.revision,
            strokes: board.strokes.iter().cloned().collect(),
            people: board.people.list(),
        }
    }

    /// Who is left, if `id` was there.
    pub(crate) fn leave(&self, id: &str) -> Option<Vec<Member>> {
        let mut board = self.lock();
        board.people.leave(id).then(|| board.people.list())
    }

    /// Begins a stroke of `id`, or goes on with one.
    pub(crate) fn draw(&self, id: &str, draw: Draw) -> Result<Change, BoardError> {
        let mut board = self.lock();
        board.check(id)?;
        let stroke = Stroke {
            author: id.to_owned(),
            number: draw.number,
            color: draw.color,
            points: draw.points,
        };
        let is_same = |other: &&mut Stroke| other.author == id && other.number == stroke.number;
        // The newest first: it is nearly always the one.
        match board.strokes.iter_mut().rev().find(is_same) {
            Some(begun) if begun.points.0.len() + stroke.points.0.len() > POINTS => {
                return Err(BoardError::StrokeTooLong);
            }
            Some(begun) => begun.points.0.extend_from_slice(&stroke.points.0),
            None => {
                if board.strokes.len() == STROKES {
                    board.strokes.pop_front();
                }
                board.strokes.push_back(stroke.clone());
            }
        }
        Ok(board.change(Some(stroke)))
    }

    /// Takes everything away.
    pub(crate) fn wipe(&self, id: &str) -> Result<Change, BoardError> {
        let mut board = self.lock();
        board.check(id)?;
        board.strokes.clear();
        Ok(board.change(None))
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn check(&self, id: &str) -> Result<(), BoardError> {
        if self.people.has(id) {
            Ok(())
        } else {
            Err(BoardError::NotHere)
        }
    }

    fn change(&mut self, stroke: Option<Stroke>) -> Change {
        self.revision += 1;
        Change {
            revision: self.revision,
            stroke,
        }
    }
}

impl From<BoardError> for WsException {
    fn from(error: BoardError) -> Self {
        Self::new(match error {
            BoardError::NotHere => "Join the board first.",
            BoardError::StrokeTooLong => "The stroke is too long; begin another one.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service() -> BoardService {
        let service = BoardService {
            board: Mutex::default(),
        };
        service.join("a", PersonName::try_from("Ada".to_owned()).unwrap());
        service
    }

    fn draw(number: u32, points: usize) -> Draw {
        serde_json::from_value(serde_json::json!({
            "number": number, "color": 1, "points": vec![[1, 2]; points],
        }))
        .unwrap()
    }

    fn strokes(service: &BoardService) -> Vec<(u32, usize)> {
        let view = service.join("b", PersonName::try_from("Bob".to_owned()).unwrap());
        view.strokes
            .iter()
            .map(|stroke| (stroke.number, stroke.points.0.len()))
            .collect()
    }

    #[test]
    fn who_comes_late_gets_the_state() {
        let service = service();
        assert_eq!(service.draw("x", draw(1, 1)), Err(BoardError::NotHere));
        for (number, points) in [(1, 2), (2, 1), (1, 3)] {
            service.draw("a", draw(number, points)).unwrap();
        }
        assert_eq!(strokes(&service), [(1, 5), (2, 1)]);
        assert_eq!(
            service.wipe("a").unwrap(),
            Change {
                revision: 4,
                stroke: None
            }
        );
        assert_eq!(strokes(&service), []);
        assert_eq!(service.leave("a").map(|people| people.len()), Some(1));
        assert_eq!(service.leave("a"), None);
    }

    #[test]
    fn the_bounds_hold() {
        let service = service();
        for number in 0..=u32::try_from(STROKES).unwrap() {
            service.draw("a", draw(number, 1)).unwrap();
        }
        let kept = strokes(&service);
        assert_eq!((kept.len(), kept[0].0), (STROKES, 1));
        for _ in 0..POINTS / 256 {
            service.draw("a", draw(9999, 256)).unwrap();
        }
        assert_eq!(service.draw("a", draw(9999, 1)), Err(BoardError::StrokeTooLong));
    }
}
