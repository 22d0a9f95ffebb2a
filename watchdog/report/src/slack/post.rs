//! The steps of text: the message, and the replies in its thread. What cannot be taken back is looked for first when an
//! earlier attempt may have been taken. Each returns whether something was told by it.

use std::sync::atomic::Ordering;

use slack_morphism::errors::SlackClientError;
use slack_morphism::prelude::*;
use watchdog_core::incident::Incident;
use watchdog_core::units::WallTime;

use super::failure;
use super::memory::{Memory, Place};
use super::news::{self, News};
use super::plan::now;
use super::{SlackSink, root_key};
use crate::sink::{DeliveryError, ErrorKind};

/// Seconds before an attempt from which its message is looked for: Slack's clock is another than ours.
const BEFORE: f64 = 60.0;
/// Pages looked through at most. What is not among the thousand newest messages is posted again.
const MAX_PAGES: usize = 25;
/// Answers in a row that cannot be understood before nothing is looked for any more: one may come from a proxy in trouble.
const MAX_GARBLED: u32 = 5;
/// How often a message that was lost is posted anew: whoever deletes it three times does not want it.
const MAX_REPOSTS: u8 = 3;

/// What a look-up ended with.
enum Looked {
    /// The message is there; its time and its key.
    Found(SlackTs, String),
    /// It is not.
    Absent,
    /// Slack does not let us look.
    Unknown,
}

impl SlackSink {
    /// Posts the message, unless an earlier attempt did.
    pub(super) async fn post(
        &self,
        memory: &mut Memory,
        incidents: &[Incident],
        unsure_since: Option<WallTime>,
    ) -> Result<bool, DeliveryError> {
        if let Some(since) = unsure_since
            && let Some(channel) = self.channel_id()
            && let Looked::Found(ts, _) =
                self.look(&channel, None, since, &root_key(incidents)).await?
        {
            memory.root = Some(Place { channel, ts });
            // Not what is there: so it is brought up to date.
            memory.words = !self.words(incidents);
            memory.tell_least(incidents);
            memory.posted = now(incidents);
            return Ok(false);
        }
        let sent = self.send(memory, incidents, None).await;
        let place = sent.map_err(|error| self.api.explain(&error))?;
        self.learn(&place.channel);
        memory.root = Some(place);
        memory.tell_all(incidents);
        memory.posted = now(incidents);
        Ok(true)
    }

    /// Brings the message up to date. One that was deleted is forgotten, so that it is posted anew.
    pub(super) async fn update(
        &self,
        memory: &mut Memory,
        incidents: &[Incident],
    ) -> Result<bool, DeliveryError> {
        let Some(root) = memory.root.clone() else { return Ok(false) };
        match self.send(memory, incidents, Some(&root)).await {
            Ok(_) => Ok(true),
            Err(error) if failure::is_about_a_lost_message(&error) => {
                lose(memory);
                Ok(false)
            }
            Err(error) if failure::is_about_a_closed_message(&error) => {
                tracing::warn!("slack lets nobody edit the message any more, the thread goes on");
                memory.frozen = true;
                Ok(false)
            }
            Err(error) => Err(self.api.explain(&error)),
        }
    }

    /// Sends the message with its image; without it, or as plain text, where Slack refuses the layout: its limits move,
    /// and better a plain report than none.
    async fn send(
        &self,
        memory: &mut Memory,
        incidents: &[Incident],
        to: Option<&Place>,
    ) -> Result<Place, SlackClientError> {
        let words = self.words(incidents);
        let mut image = memory.image().map(str::to_owned);
        loop {
            let content = self.content(incidents, image.as_deref());
            match self.put(content, to).await {
                Ok(place) => {
                    (memory.words, memory.shown) = (words, image);
                    return Ok(place);
                }
                Err(error) if failure::is_about_layout(&error) => match image {
                    Some(file) => image = memory.refuse(&file),
                    None => break,
                },
                Err(error) => return Err(error),
            }
        }
        tracing::warn!("slack refused the layout, sending plain text");
        // Blocks that are left out of an edit would stay.
        let plain = self.content(incidents, None).with_blocks(Vec::new());
        let place = self.put(plain, to).await?;
        memory.words = words;
        memory.give_up_image();
        Ok(place)
    }

    async fn put(
        &self,
        content: SlackMessageContent,
        to: Option<&Place>,
    ) -> Result<Place, SlackClientError> {
        if let Some(Place { channel, ts }) = to {
            let request = SlackApiChatUpdateRequest::new(channel.clone(), content, ts.clone());
            let answer = self.api.session().chat_update(&request).await?;
            return Ok(Place { channel: answer.channel, ts: answer.ts });
        }
        let request = SlackApiChatPostMessageRequest::new(self.channel.clone(), content);
        let request = request.with_unfurl_links(false).with_unfurl_media(false);
        let answer = self.api.session().chat_post_message(&request).await?;
        Ok(Place { channel: answer.channel, ts: answer.ts })
    }

    /// Answers in the thread, unless an earlier attempt did.
    pub(super) async fn reply(
        &self,
        memory: &mut Memory,
        news: News,
        unsure_since: Option<WallTime>,
    ) -> Result<bool, DeliveryError> {
        let Some(root) = memory.root.clone() else { return Ok(false) };
        if let Some(since) = unsure_since {
            let prefix = news::place_in_thread(memory);
            match self.look(&root.channel, Some(&root), since, &prefix).await? {
                Looked::Absent => {}
                Looked::Found(_, key) if key != news.key => {
                    // It told less than there is to tell now.
                    memory.replies = memory.replies.saturating_add(1);
                    return Ok(false);
                }
                // The message holds all of it in any case.
                Looked::Found(..) | Looked::Unknown => {
                    news.remember(memory);
                    return Ok(false);
                }
            }
        }
        let mut sent = self.put_reply(&root, news.content(), news.broadcast).await;
        if sent.as_ref().is_err_and(failure::is_about_layout) {
            let plain = SlackMessageContent { blocks: None, ..news.content() };
            sent = self.put_reply(&root, plain, news.broadcast).await;
        }
        let Err(error) = sent else {
            news.remember(memory);
            return Ok(true);
        };
        if failure::is_about_a_lost_message(&error) {
            lose(memory);
            return Ok(false);
        }
        let explained = self.api.explain(&error);
        if explained.kind != ErrorKind::Permanent {
            return Err(explained);
        }
        tracing::warn!(error = explained.text, "slack takes no reply, the message alone tells it");
        news.remember(memory);
        Ok(false)
    }

    async fn put_reply(
        &self,
        root: &Place,
        content: SlackMessageContent,
        broadcast: bool,
    ) -> Result<(), SlackClientError> {
        let request = SlackApiChatPostMessageRequest::new(root.channel.clone(), content)
            .with_thread_ts(root.ts.clone())
            .opt_reply_broadcast(broadcast.then_some(true))
            .with_unfurl_links(false)
            .with_unfurl_media(false);
        self.api.session().chat_post_message(&request).await.map(drop)
    }

    /// Looks for a message, or a reply to `root`, whose key begins so. What Slack does not let us see is said once.
    async fn look(
        &self,
        channel: &SlackChannelId,
        root: Option<&Place>,
        since: WallTime,
        prefix: &str,
    ) -> Result<Looked, DeliveryError> {
        let oldest = format!("{}.000000", (since.0 - BEFORE).max(0.0) as u64);
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let page = match self.api.messages(channel, root, &oldest, cursor.as_ref()).await {
                Ok(page) => page,
                Err(error) if failure::may_pass(&error) && !self.is_blind(&error) => {
                    // Still unsure, whatever became of this call.
                    return Err(DeliveryError { unsure: true, ..self.api.explain(&error) });
                }
                Err(error) => {
                    self.once.history.say(&self.api.explain(&error).text);
                    return Ok(Looked::Unknown);
                }
            };
            self.garbled.store(0, Ordering::Relaxed);
            let found = page.messages.iter().find_map(|message| {
                let key = message.key().filter(|key| key.starts_with(prefix))?;
                Some(Looked::Found(message.ts.clone(), key.to_owned()))
            });
            if let Some(found) = found {
                return Ok(found);
            }
            match page.next() {
                Some(next) => cursor = Some(next.clone()),
                None => break,
            }
        }
        Ok(Looked::Absent)
    }

    /// Whether what Slack shows us has been beyond understanding for so long that it will stay so.
    fn is_blind(&self, error: &SlackClientError) -> bool {
        failure::is_garbled(error) && self.garbled.fetch_add(1, Ordering::Relaxed) >= MAX_GARBLED
    }
}

/// The message is not there any more: it is posted anew, or, when that was done often enough, left alone.
fn lose(memory: &mut Memory) {
    if memory.reposts < MAX_REPOSTS {
        memory.reposts += 1;
        memory.root = None;
        memory.shown = None;
    } else {
        memory.abandoned = true;
    }
}
