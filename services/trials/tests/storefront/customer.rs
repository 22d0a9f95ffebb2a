//! A customer with a mouse or a finger, from looking around to the confirmation, and with a card that is declined.

use serde_json::{Value, json};
use services_engines::Shop;
use services_trials::browser::{Browser, Screen};

use crate::{Outcome, pictures, soundness};

const PASSWORD: &str = "a long enough password";
/// Letters for somebody who has set them to 200 %, in CSS pixels.
const LARGE: u32 = 32;

/// Somebody before a screen.
pub(crate) struct Customer<'a> {
    pub(crate) shop: &'a mut Shop,
    pub(crate) browser: &'a mut Browser,
    pub(crate) screen: Screen,
    pub(crate) name: &'a str,
}

impl Customer<'_> {
    /// The whole story.
    pub(crate) fn shops(&mut self) -> Outcome {
        self.looks_around()?;
        let (first, second) = self.fills_a_cart()?;
        self.registers()?;
        self.fills_in("4242 4242 4242 4242")?;
        self.picture("checkout-phone")?;
        self.watches_the_order()?;
        self.picture("order-desk")?;
        self.picture("order-phone")?;
        self.reads("is on its way", &first)?;
        self.is_recommended(&first, &second)?;
        self.signs_out_and_in()?;
        self.is_declined(&first)?;
        self.tries_again_with_large_letters()
    }

    fn looks_around(&mut self) -> Outcome {
        self.browser.wait("document.querySelectorAll('.card').length === 24")?;
        self.sound()?;
        self.picture("shelves-desk")?;
        self.browser.press("Show more")?;
        self.browser.wait("document.querySelectorAll('.card').length === 48")?;
        self.searches("mug")
    }

    fn searches(&mut self, word: &str) -> Outcome {
        self.browser.fill("Search the shop", word)?;
        self.browser.key("Enter")?;
        self.comes_to(&format!("Results for “{word}”"))?;
        self.browser.wait("document.querySelectorAll('.card').length > 0")?;
        self.sound()
    }

    /// Two of one product, one of another that is recommended beside it.
    fn fills_a_cart(&mut self) -> Outcome<(String, String)> {
        let first = self.opens_the_card_in(".grid")?;
        self.browser.wait("document.querySelectorAll('.beside .card').length > 0")?;
        self.sound()?;
        self.adds(1)?;
        let second = self.opens_the_card_in(".beside")?;
        self.adds(2)?;
        self.browser.press("Go to cart")?;
        self.comes_to("Cart")?;
        self.browser.press(&format!("One more: Quantity of {first}"))?;
        self.has_in_the_cart(3)?;
        self.sound()?;
        Ok((first, second))
    }

    /// The first card's name, and its page.
    fn opens_the_card_in(&mut self, place: &str) -> Outcome<String> {
        let card = format!("document.querySelector('{place} .card .name')");
        self.browser.wait(&format!("Boolean({card})"))?;
        let name = text(&self.browser.look(&format!("{card}.textContent"))?);
        self.browser.press(&name)?;
        self.comes_to(&name)?;
        Ok(name)
    }

    fn adds(&mut self, then: usize) -> Outcome {
        self.browser.press("Add to cart")?;
        self.has_in_the_cart(then)
    }

    fn has_in_the_cart(&mut self, pieces: usize) -> Outcome {
        let name = format!("Cart, {pieces} piece{}", if pieces == 1 { "" } else { "s" });
        Ok(self
            .browser
            .wait(&format!("nameOf(document.querySelector('#nav-cart')) === '{name}'"))?)
    }

    fn registers(&mut self) -> Outcome {
        self.browser.press("Sign in to check out")?;
        self.comes_to("Sign in")?;
        self.sound()?;
        self.browser.press("Create an account")?;
        self.comes_to("Create an account")?;
        self.sound()?;
        self.browser.fill("Name", self.name)?;
        self.browser.fill("Email", &self.email())?;
        self.browser.fill("Password", PASSWORD)?;
        self.browser.press("Create account")?;
        Ok(())
    }

    fn email(&self) -> String {
        format!("{}@example.org", self.name.to_lowercase().replace(' ', "."))
    }

    fn fills_in(&mut self, card: &str) -> Outcome {
        self.comes_to("Checkout")?;
        self.browser.press("Test cards")?;
        self.browser.press(&format!("Use test card {card}"))?;
        for (field, value) in [
            ("Street and number", "1 Harbour Street"),
            ("Postcode", "20457"),
            ("City", "Hamburg"),
            ("Country", "Germany"),
        ] {
            self.browser.fill(field, value)?;
        }
        self.sound()
    }

    /// As long as nobody sends mails it stays paid; then it goes on before their eyes, and that is said aloud.
    fn watches_the_order(&mut self) -> Outcome {
        self.shop.kill("notifications");
        self.browser.press("Pay ")?;
        self.browser.wait("document.querySelector('.order')?.dataset.state === 'paid'")?;
        self.shop.open("notifications")?;
        self.sees_the_order_arrive()?;
        let said = text(&self.browser.look("document.querySelector('#live').textContent")?);
        assert!(said.contains("Confirmed"), "{said}");
        Ok(())
    }

    fn sees_the_order_arrive(&mut self) -> Outcome {
        self.browser.wait("document.querySelector('.order')?.dataset.state === 'notified'")?;
        self.browser.wait("document.querySelectorAll('.steps .done').length === 4")?;
        self.sound()
    }

    /// The one mail of its kind, with what is in it.
    fn reads(&mut self, subject: &str, content: &str) -> Outcome {
        self.goes("mailbox", "Mailbox")?;
        let subjects = format!(
            "[...document.querySelectorAll('.mails .subject')].map((e) => e.textContent).filter((e) => e.includes({}))",
            json!(subject)
        );
        let subjects = self.browser.look(&subjects)?;
        assert_eq!(subjects.as_array().map(Vec::len), Some(1), "{subjects}");
        self.browser.press(&text(&subjects[0]))?;
        let letter = format!("find({}).closest('li').querySelector('.letter')", subjects[0]);
        self.browser.wait(&format!("{letter}.checkVisibility()"))?;
        let words = text(&self.browser.look(&format!("{letter}.innerText"))?);
        assert!(words.contains(content), "{content} in {words}");
        self.sound()
    }

    /// Goes to one of their own pages by the links to them.
    fn goes(&mut self, tab: &str, title: &str) -> Outcome {
        let account = format!("Your account, {}", self.name);
        self.browser.press(&account)?;
        self.browser.wait("Boolean(document.querySelector('.tabs'))")?;
        self.comes_to("Orders")?;
        if title != "Orders" {
            self.browser.press(title)?;
            self.comes_to(title)?;
        }
        self.browser.wait(&format!("location.hash === '#/{tab}'"))?;
        self.sound()
    }

    /// What was bought together is recommended as soon as it is learned.
    fn is_recommended(&mut self, first: &str, second: &str) -> Outcome {
        self.browser.press("Look at the order")?;
        self.browser.press(first)?;
        self.comes_to(first)?;
        let learned = "fetch(`/api${location.hash.slice(1)}/recommendations?limit=4`)\
                       .then((answer) => answer.json()).then(({ reason }) => reason === 'bought-together')";
        self.browser.wait(learned)?;
        self.browser.press("Cart")?;
        self.comes_to("Your cart is empty")?;
        self.sound()?;
        self.browser.look("history.back()")?;
        self.comes_to(first)?;
        self.browser.wait(
            "document.querySelector('.beside h2')?.textContent === 'Often bought together'",
        )?;
        let beside =
            self.browser.look("document.querySelector('.beside .card .name').textContent")?;
        assert_eq!(beside, second);
        self.picture("product-desk")
    }

    fn signs_out_and_in(&mut self) -> Outcome {
        self.goes("profile", "Profile")?;
        self.browser.press("Sign out")?;
        self.browser.wait("document.querySelector('#nav-account').textContent === 'Sign in'")?;
        self.browser.press("Sign in")?;
        self.comes_to("Sign in")?;
        self.browser.fill("Email", &self.email())?;
        self.browser.fill("Password", PASSWORD)?;
        self.browser.press("Sign in")?;
        self.goes("orders", "Orders")?;
        let order = text(&self.browser.look("document.querySelector('.rows').innerText")?);
        assert!(order.contains("Confirmed"), "{order}");
        Ok(())
    }

    /// They are told once why, on the page and by mail.
    fn is_declined(&mut self, product: &str) -> Outcome {
        self.searches("mug")?;
        self.browser.press(product)?;
        self.comes_to(product)?;
        self.adds(1)?;
        self.browser.press("Cart, 1 piece")?;
        self.comes_to("Cart")?;
        self.browser.press("Check out")?;
        self.fills_in("4000 0000 0000 0002")?;
        self.browser.press("Pay ")?;
        self.browser.wait("document.querySelector('.order')?.dataset.state === 'cancelled'")?;
        let page = text(&self.browser.look("document.querySelector('main').innerText")?);
        assert_eq!(page.to_lowercase().matches("card was declined").count(), 1, "{page}");
        self.sound()?;
        let order = self.browser.look("location.hash")?;
        self.browser.wait("fetch('/api/mailbox').then((answer) => answer.json()).then(({ items }) => items.length === 2)")?;
        self.reads("was cancelled", "card was declined")?;
        self.browser.press("Look at the order")?;
        Ok(self
            .browser
            .wait(&format!("location.hash === {order} && Boolean(find('Put all back'))"))?)
    }

    fn tries_again_with_large_letters(&mut self) -> Outcome {
        self.browser.letters(LARGE)?;
        self.sound()?;
        self.browser.press("Put all back into the cart")?;
        self.comes_to("Cart")?;
        self.sound()?;
        self.browser.press("Check out")?;
        self.fills_in("4242 4242 4242 4242")?;
        self.browser.press("Pay ")?;
        self.sees_the_order_arrive()?;
        self.goes("mailbox", "Mailbox")?;
        self.goes("profile", "Profile")?;
        self.browser.press("Alder Lane")?;
        self.browser.wait("document.querySelectorAll('.card').length === 24")?;
        self.sound()?;
        self.opens_the_card_in(".grid")?;
        self.browser.wait("document.querySelectorAll('.beside .card').length > 0")?;
        self.sound()?;
        self.adds(1)?;
        let size = self.browser.look("getComputedStyle(document.body).fontSize")?;
        assert_eq!(size, "32px", "the letters were large to the end");
        Ok(())
    }

    fn comes_to(&mut self, title: &str) -> Outcome {
        Ok(self.browser.wait(&format!("heading() === {}", json!(title)))?)
    }

    fn sound(&mut self) -> Outcome {
        soundness::is_sound(self.browser, self.screen)
    }

    /// One of the documentation, if it is of this screen.
    fn picture(&mut self, name: &str) -> Outcome {
        let screen = if self.screen.phone { "-phone" } else { "-desk" };
        if name.ends_with(screen) { pictures::take(self.browser, name) } else { Ok(()) }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
