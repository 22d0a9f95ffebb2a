//! The customers: requests with bodies, answers, and what a service forgets of them again.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Requests that the log keeps, for whoever looks at it.
const RECENT: usize = 256;

/// The body of a request at most, bytes.
const BODY: usize = 12 << 10;

const ROUTES: [&str; 4] = ["/orders", "/baskets", "/search", "/receipts"];

/// One request of a customer.
#[derive(Debug)]
pub(crate) struct Request {
    /// Never the same twice.
    pub(crate) id: u64,
    /// One of few.
    pub(crate) route: &'static str,
    /// One of a thousand.
    pub(crate) customer: u64,
    /// What was sent: text, 4 to 12 KiB. Not zeros: pages that are never written to would not become resident.
    pub(crate) body: Vec<u8>,
}

/// Where requests come from and answers go.
pub(crate) struct Traffic {
    next: u64,
    text: Vec<u8>,
    recent: VecDeque<String>,
}

impl Default for Traffic {
    fn default() -> Self {
        let item = br#"{"sku":"sku-0001","pieces":2,"price":"12.50","note":"gift"},"#;
        let text = item.iter().copied().cycle().take(BODY).collect();
        Self { next: 0, text, recent: VecDeque::with_capacity(RECENT) }
    }
}

impl Traffic {
    /// The next request.
    pub(crate) fn receive(&mut self) -> Request {
        let id = self.next;
        self.next += 1;
        // Spread without a random number, so that a run can be repeated.
        let spread = id.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let length = BODY / 3 + (spread % (BODY as u64 * 2 / 3)) as usize;
        let body = self.text.get(..length).unwrap_or_default().to_vec();
        let route = ROUTES[(id % 4) as usize];
        Request { id, route, customer: spread % 1000, body }
    }

    /// Answers it and notes it in the log, whose oldest line gives way.
    pub(crate) fn answer(&mut self, request: &Request) {
        let mut answer = String::with_capacity(256);
        // Writing to a String cannot fail.
        let _ = write!(answer, "{} {} by {}", request.id, request.route, request.customer);
        answer.push_str(&String::from_utf8_lossy(&request.body[..request.body.len().min(512)]));
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_differ_and_have_bodies_of_all_sizes() {
        let mut traffic = Traffic::default();
        let requests: Vec<Request> = (0..1000).map(|_| traffic.receive()).collect();
        assert!(requests.windows(2).all(|pair| pair[0].id < pair[1].id));
        let sizes = || requests.iter().map(|request| request.body.len());
        assert!(sizes().min() >= Some(BODY / 3) && sizes().max() <= Some(BODY));
        assert!(sizes().max().unwrap() - sizes().min().unwrap() > BODY / 2);
        assert!(requests.iter().all(|request| request.customer < 1000));
    }

    #[test]
    fn the_log_of_answers_has_an_end() {
        let mut traffic = Traffic::default();
        for _ in 0..1000 {
            let request = traffic.receive();
            traffic.answer(&request);
        }
        assert_eq!(traffic.recent.len(), RECENT);
    }
}
