//! The services of the shop: their names, their ports and where each finds the others.

use clap::Args;
use url::Url;

/// The gateway's public port; the others follow in the order of [`Peer::ALL`].
const FIRST_PORT: u16 = 8080;

/// An admin port is this much above the public one.
const ADMIN_OFFSET: u16 = 1000;

/// One service of the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Peer {
    /// The only one that customers reach.
    Gateway,
    /// Accounts and sessions.
    Users,
    /// Products and stock.
    Inventory,
    /// Carts and orders.
    Orders,
    /// Charges and refunds.
    Payments,
    /// Messages to customers.
    Notifications,
    /// What is bought together.
    Recommendations,
}

impl Peer {
    /// All, in the order of their ports.
    pub const ALL: [Self; 7] = [
        Self::Gateway,
        Self::Users,
        Self::Inventory,
        Self::Orders,
        Self::Payments,
        Self::Notifications,
        Self::Recommendations,
    ];

    /// The name of the program, in labels, logs and identities.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Users => "users",
            Self::Inventory => "inventory",
            Self::Orders => "orders",
            Self::Payments => "payments",
            Self::Notifications => "notifications",
            Self::Recommendations => "recommendations",
        }
    }

    /// The service of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == name)
    }

    /// Whether the service is of use without the others, and then needs nothing that they share.
    pub fn stands_alone(self) -> bool {
        self == Self::Recommendations
    }

    /// The public port unless `SHOP_LISTEN` says otherwise.
    pub fn port(self) -> u16 {
        FIRST_PORT + self as u16
    }

    /// The admin port unless `SHOP_ADMIN_LISTEN` says otherwise.
    pub fn admin_port(self) -> u16 {
        self.port() + ADMIN_OFFSET
    }
}

/// Where the services find each other; the defaults are the ports of one machine.
#[derive(Clone, Debug, Args)]
pub struct Peers {
    /// Where customers reach the shop, for links in messages.
    #[arg(long, env = "SHOP_GATEWAY_URL", default_value = "http://127.0.0.1:8080")]
    pub gateway_url: Url,
    /// The users service.
    #[arg(long, env = "SHOP_USERS_URL", default_value = "http://127.0.0.1:8081")]
    pub users_url: Url,
    /// The inventory service.
    #[arg(long, env = "SHOP_INVENTORY_URL", default_value = "http://127.0.0.1:8082")]
    pub inventory_url: Url,
    /// The orders service.
    #[arg(long, env = "SHOP_ORDERS_URL", default_value = "http://127.0.0.1:8083")]
    pub orders_url: Url,
    /// The payments service.
    #[arg(long, env = "SHOP_PAYMENTS_URL", default_value = "http://127.0.0.1:8084")]
    pub payments_url: Url,
    /// The notifications service.
    #[arg(long, env = "SHOP_NOTIFICATIONS_URL", default_value = "http://127.0.0.1:8085")]
    pub notifications_url: Url,
    /// The recommendations service.
    #[arg(long, env = "SHOP_RECOMMENDATIONS_URL", default_value = "http://127.0.0.1:8086")]
    pub recommendations_url: Url,
}

impl Peers {
    /// Where that service is.
    pub fn url(&self, peer: Peer) -> &Url {
        match peer {
            Peer::Gateway => &self.gateway_url,
            Peer::Users => &self.users_url,
            Peer::Inventory => &self.inventory_url,
            Peer::Orders => &self.orders_url,
            Peer::Payments => &self.payments_url,
            Peer::Notifications => &self.notifications_url,
            Peer::Recommendations => &self.recommendations_url,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Shop {
        #[command(flatten)]
        peers: Peers,
    }

    #[test]
    fn each_service_is_looked_for_where_it_listens_by_default() {
        let peers = Shop::try_parse_from(["shop"]).unwrap().peers;
        for peer in Peer::ALL {
            assert_eq!(peers.url(peer).port(), Some(peer.port()), "{}", peer.name());
            assert_eq!(Peer::named(peer.name()), Some(peer));
        }
    }
}
