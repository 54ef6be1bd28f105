//! Where metrics are served, as people write it.

use std::net::{Ipv4Addr, SocketAddr};

/// The address of `IP:PORT`, or of `:PORT` and `localhost:PORT`, which are this machine alone.
///
/// # Errors
/// With what would be right.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let of_this_machine = text.strip_prefix("localhost").unwrap_or(text).strip_prefix(':').and_then(|port| port.parse().ok());
    let address = of_this_machine.map(|port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).or_else(|| text.parse().ok());
    address.ok_or_else(|| {
        "write an IP address and a port, as 127.0.0.1:9464, [::1]:9464, or :9464 for this machine alone; port 0 is any that is free".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port_and_is_of_this_machine_unless_another_is_named() {
        for (text, address) in [
            ("127.0.0.1:9464", "127.0.0.1:9464"),
            (":9464", "127.0.0.1:9464"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:9464", "[::1]:9464"),
            ("0.0.0.0:9464", "0.0.0.0:9464"),
        ] {
            assert_eq!(parse_address(text), Ok(address.parse().unwrap()), "{text}");
        }
        for text in ["", "9464", ":", ":65536", ":-1", "127.0.0.1", "::1:9464x", "metrics.example:9464", "127.0.0.1:9464/metrics"] {
            assert!(parse_address(text).is_err_and(|why| why.contains("[::1]:9464")), "{text}");
        }
    }
}
