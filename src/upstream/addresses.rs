//! Which addresses are the public internet: what is not certainly public counts as private.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// Whether an address belongs to the public internet.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !NOT_PUBLIC_V4.iter().any(|net| net.contains(&ip)),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(inner) => is_public(IpAddr::V4(inner)),
            None if NAT64.contains(&ip) => {
                let [.., a, b, c, d] = ip.octets();
                is_public(IpAddr::from([a, b, c, d]))
            }
            None => GLOBAL_V6.contains(&ip) && !NOT_PUBLIC_V6.iter().any(|net| net.contains(&ip)),
        },
    }
}

/// Networks that are not the public internet (*IANA special-purpose address registry*).
const NOT_PUBLIC_V4: [Ipv4Net; 15] = [
    net4([0, 0, 0, 0], 8),       // this network
    net4([10, 0, 0, 0], 8),      // private
    net4([100, 64, 0, 0], 10),   // carrier-grade NAT
    net4([127, 0, 0, 0], 8),     // loopback
    net4([169, 254, 0, 0], 16),  // link-local, cloud metadata
    net4([172, 16, 0, 0], 12),   // private
    net4([192, 0, 0, 0], 24),    // protocol assignments
    net4([192, 0, 2, 0], 24),    // documentation
    net4([192, 88, 99, 0], 24),  // 6to4 relays
    net4([192, 168, 0, 0], 16),  // private
    net4([198, 18, 0, 0], 15),   // benchmarks
    net4([198, 51, 100, 0], 24), // documentation
    net4([203, 0, 113, 0], 24),  // documentation
    net4([224, 0, 0, 0], 4),     // multicast
    net4([240, 0, 0, 0], 4),     // reserved, broadcast
];

/// The only part of IPv6 that is given out; all else (loopback, unique-local, link-local,
/// multicast, ...) lies outside.
const GLOBAL_V6: Ipv6Net = net6([0x2000, 0], 3);

/// Parts of it that are not the public internet.
const NOT_PUBLIC_V6: [Ipv6Net; 4] = [
    net6([0x2001, 0], 23),      // protocol assignments, Teredo
    net6([0x2001, 0x0db8], 32), // documentation
    net6([0x2002, 0], 16),      // 6to4: hides an IPv4 address
    net6([0x3fff, 0], 20),      // documentation
];

/// NAT64: the last 32 bits are an IPv4 address (*RFC 6052, 2.1*).
const NAT64: Ipv6Net = net6([0x0064, 0xff9b], 96);

const fn net4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn net6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_are_public_or_not() {
        let closed = [
            ("unspecified", "0.0.0.0"),
            ("this network", "0.1.2.3"),
            ("private", "10.1.2.3"),
            ("carrier-grade NAT", "100.64.0.1"),
            ("its end", "100.127.255.255"),
            ("loopback", "127.0.0.1"),
            ("loopback, other", "127.8.8.8"),
            ("link-local", "169.254.1.1"),
            ("metadata", "169.254.169.254"),
            ("private", "172.16.0.1"),
            ("its end", "172.31.255.255"),
            ("private", "192.168.1.1"),
            ("benchmarks", "198.19.0.1"),
            ("multicast", "224.0.0.1"),
            ("reserved", "240.0.0.1"),
            ("broadcast", "255.255.255.255"),
            ("v6 unspecified", "::"),
            ("v6 loopback", "::1"),
            ("v4-mapped loopback", "::ffff:127.0.0.1"),
            ("v4-mapped metadata", "::ffff:169.254.169.254"),
            ("v4-compatible", "::10.0.0.1"),
            ("NAT64 of a private one", "64:ff9b::10.0.0.1"),
            ("local NAT64", "64:ff9b:1::1"),
            ("unique-local", "fd00::1"),
            ("v6 metadata", "fd00:ec2::254"),
            ("v6 link-local", "fe80::1"),
            ("site-local", "fec0::1"),
            ("v6 multicast", "ff02::1"),
            ("Teredo", "2001::1"),
            ("documentation", "2001:db8::1"),
            ("6to4 of a private one", "2002:0a00:0001::1"),
        ];
        for (name, ip) in closed {
            assert!(!is_public(ip.parse().unwrap()), "{name}: {ip}");
        }
        let open = [
            ("v4", "8.8.8.8"),
            ("before 10/8", "9.255.255.255"),
            ("after 10/8", "11.0.0.0"),
            ("before CGNAT", "100.63.255.255"),
            ("after CGNAT", "100.128.0.0"),
            ("after 172.16/12", "172.32.0.0"),
            ("v4-mapped", "::ffff:8.8.8.8"),
            ("NAT64", "64:ff9b::8.8.8.8"),
            ("v6", "2a00:1450:4001::1"),
        ];
        for (name, ip) in open {
            assert!(is_public(ip.parse().unwrap()), "{name}: {ip}");
        }
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_as_public_as_what_it_maps(bits: u32) {
            let v4 = Ipv4Addr::from(bits);
            prop_assert_eq!(is_public(IpAddr::V6(v4.to_ipv6_mapped())), is_public(IpAddr::V4(v4)));
        }
    }
}
