//! Two rows become one of half the length: each pixel the mean of four, at an odd end of two.

use crate::imaging::pixels::Channels;

/// Pixels that are added at a time: the sums stay near, and compilers make vectors of them.
const PIXELS: usize = 64;
/// Their samples, and those of one pixel more.
const SAMPLES: usize = 3 * (PIXELS + 1);

/// Puts the mean of two rows behind what is in `row`.
pub(super) fn average(upper: &[u8], lower: &[u8], channels: Channels, row: &mut Vec<u8>) {
    match channels {
        Channels::Grey => average_of::<1, 2>(upper, lower, row),
        _ => average_of::<3, 6>(upper, lower, row),
    }
}

fn average_of<const COUNT: usize, const PAIR: usize>(upper: &[u8], lower: &[u8], row: &mut Vec<u8>) {
    let pairs = upper.len() - upper.len() % PAIR;
    let ((upper, end), (lower, end_below)) = (upper.split_at(pairs), lower.split_at(pairs));
    let (mut sums, mut means) = ([0_u16; SAMPLES], [0_u8; SAMPLES]);
    for (upper, lower) in upper.chunks(PIXELS * COUNT).zip(lower.chunks(PIXELS * COUNT)) {
        for (sum, (a, b)) in sums.iter_mut().zip(upper.iter().zip(lower)) {
            *sum = u16::from(*a) + u16::from(*b);
        }
        // Of each pixel and the next one: every other is not wanted, but all together are quicker than one by one.
        let means = &mut means[..upper.len()];
        for (mean, (a, b)) in means.iter_mut().zip(sums.iter().zip(&sums[COUNT..])) {
            *mean = ((a + b + 2) / 4) as u8;
        }
        means.as_chunks::<PAIR>().0.iter().for_each(|pair| row.extend_from_slice(&pair[..COUNT]));
    }
    row.extend(end.iter().zip(end_below).map(|(a, b)| (u16::from(*a) + u16::from(*b)).div_ceil(2) as u8));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mean(upper: &[u8], lower: &[u8], channels: Channels) -> Vec<u8> {
        let mut row = Vec::new();
        average(upper, lower, channels, &mut row);
        row
    }

    #[test]
    fn pixels_are_averaged_in_fours() {
        assert_eq!(mean(&[0, 4, 10, 20, 7], &[0, 4, 10, 21, 8], Channels::Grey), [2, 15, 8]);
        let colours = mean(&[0, 10, 20, 4, 30, 40, 9, 9, 9], &[0, 10, 20, 4, 30, 41, 9, 9, 9], Channels::Rgb);
        assert_eq!(colours, [2, 20, 30, 9, 9, 9]);
    }

    proptest! {
        #[test]
        fn rows_of_any_length_are_averaged(
            rows in prop::collection::vec(any::<[u8; 6]>(), 1..300),
            channels in prop::sample::select(vec![Channels::Grey, Channels::Rgb]),
        ) {
            let count = channels.count();
            let of = |from: usize| rows.iter().flat_map(|row| row[from..from + count].to_vec()).collect();
            let (upper, lower): (Vec<u8>, Vec<u8>) = (of(0), of(3));
            let at = |x: usize, c: usize| {
                let right = (2 * x + 1).min(rows.len() - 1);
                let all = [&upper, &lower].map(|row| [row[2 * x * count + c], row[right * count + c]]);
                ((all.as_flattened().iter().map(|sample| u16::from(*sample)).sum::<u16>() + 2) / 4) as u8
            };
            let width = rows.len().div_ceil(2);
            let expected: Vec<u8> = (0..width).flat_map(|x| (0..count).map(move |c| (x, c))).map(|(x, c)| at(x, c)).collect();
            prop_assert_eq!(mean(&upper, &lower, channels), expected);
        }
    }
}
