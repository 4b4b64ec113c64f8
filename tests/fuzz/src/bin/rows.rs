//! JPEGs that come row by row: at every scale, and in parts, with places to go on from that are right or wrong.
#![no_main]

use libfuzzer_sys::fuzz_target;
use loggia::imaging;

fuzz_target!(|file: &[u8]| imaging::fuzz_rows(file));
