//! Sockets to connect with, and the local ports that they get.

use nix::sys::socket::{setsockopt, sockopt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpSocket;

/// Of `linux/in.h`, since Linux 6.3.
const IP_LOCAL_PORT_RANGE: libc::c_int = 51;
/// From 1 to 65,535, which is the upper half: bounds outside of the host's own range have no effect (ip(7)).
const ANY_PORT: u32 = 0xffff_0001;

// Where a socket asks for a range, the kernel looks at every port, from a random one on. Otherwise it looks at those of one parity first:
// once half of the host's range leads to an address, that is 14,116 of them and 0.8 ms of CPU for each further connection. Linux 6.8 and
// later; before, asking changes nothing.
sockopt_impl!(PortRange, Both, libc::IPPROTO_IP, IP_LOCAL_PORT_RANGE, u32);

/// A socket to connect to `destination` with, from `source` where there is one. The port is chosen when the connection is made, so that
/// a port serves once for every destination, not once in all.
///
/// # Errors
/// When a socket cannot be had, or the host does not have `source`.
pub(crate) fn socket(destination: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpSocket> {
    let socket = if destination.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Without it connecting costs more, and works.
    let _ = setsockopt(&socket, PortRange, &ANY_PORT);
    if let Some(source) = source {
        setsockopt(&socket, sockopt::IpBindAddressNoPort, &true)?;
        socket.bind(SocketAddr::new(source, 0))?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::getsockopt;
    use std::net::{Ipv4Addr, Ipv6Addr};

    #[test]
    fn ports_are_looked_for_in_the_whole_range() {
        let [v4, v6]: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        for (destination, source) in [(v4, None), (v4, Some(v4)), (v6, None), (v6, Some(v6))] {
            // A host without IPv6, or a kernel without the option, has nothing to show.
            let Ok(socket) = socket((destination, 1).into(), source) else { continue };
            if let Ok(range) = getsockopt(&socket, PortRange) {
                assert_eq!(range, ANY_PORT, "to {destination} from {source:?}");
            }
        }
    }
}
