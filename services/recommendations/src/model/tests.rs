//! What is learned, and what gives way at the caps.

use super::*;

fn item(name: &str) -> ItemId {
    ItemId::try_from(name.to_owned()).unwrap()
}

fn learn(model: &mut Model, order: &[&str]) {
    let order: Vec<ItemId> = order.iter().map(|name| item(name)).collect();
    model.learn(&order);
}

fn names(recommendations: &[Recommendation]) -> Vec<String> {
    recommendations.iter().map(|chosen| chosen.item.to_string()).collect()
}

#[test]
fn what_is_bought_together_most_often_comes_first() {
    let mut model = Model::default();
    learn(&mut model, &["tea", "cup"]);
    learn(&mut model, &["tea", "cup", "spoon"]);
    learn(&mut model, &["tea", "honey", "cup"]);
    let chosen = model.recommend(&item("tea"), 2);
    assert_eq!(names(&chosen), ["cup", "honey"]);
    assert_eq!(chosen[0].score, 3);
    assert_eq!(chosen[0].reason, Reason::BoughtTogether);
}

#[test]
fn an_item_nobody_bought_gets_what_is_popular() {
    let mut model = Model::default();
    learn(&mut model, &["tea", "cup"]);
    learn(&mut model, &["tea"]);
    let chosen = model.recommend(&item("unheard-of"), 5);
    assert_eq!(names(&chosen), ["tea", "cup"]);
    assert!(chosen.iter().all(|chosen| chosen.reason == Reason::Popular));
}

#[test]
fn popular_items_fill_up_without_repeating_or_naming_the_item_itself() {
    let mut model = Model::default();
    learn(&mut model, &["tea", "cup"]);
    learn(&mut model, &["lamp"]);
    learn(&mut model, &["lamp", "tea"]);
    learn(&mut model, &["rug"]);
    let chosen = model.recommend(&item("cup"), 10);
    assert_eq!(names(&chosen), ["tea", "lamp", "rug"]);
}

#[test]
fn an_item_named_twice_in_an_order_counts_once_and_is_no_partner_of_itself() {
    let mut model = Model::default();
    learn(&mut model, &["tea", "tea", "tea"]);
    assert_eq!(model.popular(1)[0].score, 1);
    assert_eq!(model.recommend(&item("tea"), 5), []);
}

#[test]
fn at_the_cap_the_rarest_gives_way_and_the_popular_stay() {
    let mut model = Model::with_capacity(100);
    for _ in 0..1_000 {
        learn(&mut model, &["tea", "cup"]);
    }
    for number in 0..5_000 {
        learn(&mut model, &[&format!("once-{number}")]);
    }
    assert_eq!(model.items(), 100);
    assert_eq!(model.evicted(), 5_002 - 100);
    assert_eq!(model.popular(2).iter().map(|top| top.score).collect::<Vec<_>>(), [1_000, 1_000]);
    assert_eq!(names(&model.recommend(&item("tea"), 1)), ["cup"]);
}

#[test]
fn a_newcomer_that_is_bought_often_makes_its_way_into_a_full_model() {
    let mut model = Model::with_capacity(10);
    for number in 0..10 {
        learn(&mut model, &[&format!("old-{number}")]);
        learn(&mut model, &[&format!("old-{number}")]);
    }
    for number in 0..100 {
        learn(&mut model, &["hit", &format!("noise-{number}")]);
    }
    assert_eq!(names(&model.popular(1)), ["hit"]);
}

#[test]
fn partners_of_one_item_are_capped_and_the_frequent_one_stays() {
    let mut model = Model::default();
    for number in 0..2_000 {
        learn(&mut model, &["tea", &format!("other-{number}")]);
        learn(&mut model, &["tea", "cup"]);
    }
    let key = model.keys[&item("tea")];
    assert_eq!(model.items[&key].partners.len(), MAX_PARTNERS);
    assert_eq!(names(&model.recommend(&item("tea"), 1)), ["cup"]);
}

#[test]
fn an_evicted_item_is_not_recommended_any_more() {
    let mut model = Model::with_capacity(3);
    learn(&mut model, &["tea", "fad"]);
    for _ in 0..10 {
        learn(&mut model, &["tea", "cup", "spoon"]);
    }
    assert!(!names(&model.recommend(&item("tea"), 10)).contains(&"fad".to_owned()));
    assert_eq!(model.keys.len(), 3);
    assert_eq!(model.ranking.len(), 3);
}

#[test]
fn an_order_beyond_the_cap_is_cut_off() {
    let mut model = Model::default();
    let order: Vec<ItemId> = (0..MAX_ORDER + 20).map(|n| item(&format!("i{n}"))).collect();
    model.learn(&order);
    assert_eq!(model.items(), MAX_ORDER);
}
