//! The public face of watchdog-collect, on small trees and on the real kernel.

#[cfg(test)]
mod allocator;
#[cfg(test)]
mod cgroup;
#[cfg(test)]
mod collector;
#[cfg(test)]
mod confine;
#[cfg(test)]
mod discover;
#[cfg(test)]
mod process;
#[cfg(test)]
mod recording;
#[cfg(test)]
mod replayed;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tree;
