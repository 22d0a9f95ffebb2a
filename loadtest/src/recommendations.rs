//! The recommendations service by itself: shoppers look at what is popular, browse items, and now and then order some.

use std::collections::HashMap;

use goose::prelude::*;

use crate::shopper::Shopper;

/// Browsing and ordering on the recommendations service. Of sixteen requests ten browse, four order, two ask what is
/// popular: orders are what the service learns from, so there are more than a real shop would see.
pub(crate) fn browse_and_order() -> Result<Scenario, GooseError> {
    Ok(scenario!("Recommendations")
        .register_transaction(transaction!(browse).set_name("browse").set_weight(10)?)
        .register_transaction(transaction!(order).set_name("order").set_weight(4)?)
        .register_transaction(transaction!(popular).set_name("popular").set_weight(2)?))
}

async fn browse(user: &mut GooseUser) -> TransactionResult {
    let item = shopper(user).item();
    let path = format!("/recommendations/{item}?limit=10");
    get(user, &path, "/recommendations/{item}").await
}

async fn popular(user: &mut GooseUser) -> TransactionResult {
    get(user, "/items/popular?limit=20", "/items/popular").await
}

async fn get(user: &mut GooseUser, path: &str, name: &str) -> TransactionResult {
    let request = GooseRequest::builder()
        .method(GooseMethod::Get)
        .path(path)
        .name(name)
        .expect_status_code(200)
        .build();
    user.request(request).await?;
    Ok(())
}

async fn order(user: &mut GooseUser) -> TransactionResult {
    let body = HashMap::from([("items", shopper(user).basket())]);
    let post = user.get_request_builder(&GooseMethod::Post, "/orders")?.json(&body);
    let request = GooseRequest::builder()
        .name("/orders")
        .expect_status_code(200)
        .set_request_builder(post)
        .build();
    user.request(request).await?;
    Ok(())
}

/// The shopper behind a user, who arrives with the first request.
fn shopper(user: &mut GooseUser) -> &mut Shopper {
    if user.get_session_data::<Shopper>().is_none() {
        let number = user.weighted_users_index;
        user.set_session_data(Shopper::number(number));
    }
    user.get_session_data_unchecked_mut::<Shopper>()
}
