//! Random numbers that a seed repeats: SplitMix64, a generator for each life, so that what one does depends on no other.

/// A generator.
pub(super) struct Dice(u64);

impl Dice {
    /// That of one life of one client under a seed.
    pub(super) fn of(seed: u64, client: usize, life: u64) -> Self {
        let mut dice = Self(seed ^ (client as u64).rotate_left(40) ^ life.rotate_left(20));
        dice.next();
        Self(dice.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, or zero.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        // The bias is nothing that a load would show.
        (self.next() % limit.max(1) as u64) as usize
    }

    /// A number of the range.
    pub(super) fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// One of the choices, each as often as its weight says.
    pub(super) fn choose<T: Copy>(&mut self, choices: &[(T, usize)]) -> T {
        let mut at = self.below(choices.iter().map(|(_, weight)| weight).sum());
        for (choice, weight) in choices {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *choice,
            }
        }
        choices[0].0
    }

    /// So many bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_lives_differ() {
        let run = |seed, client, life| Dice::of(seed, client, life).bytes(16);
        assert_eq!(run(1, 2, 3), run(1, 2, 3));
        for other in [run(2, 2, 3), run(1, 3, 3), run(1, 2, 4)] {
            assert_ne!(run(1, 2, 3), other);
        }
    }

    #[test]
    fn choices_keep_their_weights() {
        let mut dice = Dice::of(7, 0, 0);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            counts[dice.choose(&[(0, 70), (1, 30), (2, 0)])] += 1;
        }
        assert!(
            (6_700..7_300).contains(&counts[0]) && counts[2] == 0,
            "{counts:?}"
        );
        assert!((0..1_000).all(|_| (3..=5).contains(&dice.between(3, 5))));
    }
}
