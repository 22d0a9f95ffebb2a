//! What a panel's fieldConfig says of a series or a column: its colour, its unit, the words for its values.

use serde_json::Value;

use super::units;

/// Grafana's palette-classic, by its light theme.
const PALETTE: [&str; 10] = [
    "#73bf69", "#e0b400", "#5794f2", "#ff780a", "#e02f44", "#8ab8ff", "#b877d9", "#37872d",
    "#705da0", "#c15c17",
];
/// Grafana's names for colours, where a browser has another or none.
const NAMED: [(&str, &str); 10] = [
    ("green", "#56a64b"),
    ("light-green", "#96d98d"),
    ("yellow", "#e0b400"),
    ("orange", "#ff780a"),
    ("red", "#e02f44"),
    ("dark-red", "#ad0317"),
    ("blue", "#3274d9"),
    ("light-blue", "#8ab8ff"),
    ("purple", "#a352cc"),
    ("text", "#24292e"),
];

/// A colour as the browser knows it.
pub(super) fn color(name: &str) -> &str {
    NAMED.iter().find(|(known, _)| *known == name).map_or(name, |(_, code)| code)
}

/// The colour that the series of this place in a panel gets.
pub(super) fn palette(place: usize) -> &'static str {
    PALETTE[place % PALETTE.len()]
}

/// How one series or column looks.
pub(super) struct Look<'a> {
    defaults: &'a Value,
    overrides: Vec<&'a Value>,
}

impl<'a> Look<'a> {
    /// Of the series or column `name`, from the query `reference`.
    pub(super) fn of(panel: &'a Value, name: &str, reference: &str) -> Self {
        let config = &panel["fieldConfig"];
        let overrides = list(&config["overrides"]).filter(|one| {
            let matcher = &one["matcher"];
            let wanted = &matcher["options"];
            match matcher["id"].as_str() {
                Some("byName") => wanted == name,
                Some("byFrameRefID") => wanted == reference,
                _ => false,
            }
        });
        let overrides = overrides.flat_map(|one| list(&one["properties"])).collect();
        Self { defaults: &config["defaults"], overrides }
    }

    /// A property by its name in overrides: `unit`, `custom.lineWidth`.
    pub(super) fn property(&self, id: &str) -> &'a Value {
        let over = self.overrides.iter().rev().find(|property| property["id"] == id);
        over.map_or_else(
            || self.defaults.pointer(&format!("/{}", id.replace('.', "/"))).unwrap_or(&Value::Null),
            |property| &property["value"],
        )
    }

    /// Its unit.
    pub(super) fn unit(&self) -> &'a str {
        self.property("unit").as_str().unwrap_or("none")
    }

    /// A number, as a line's width.
    pub(super) fn number(&self, id: &str) -> Option<f64> {
        self.property(id).as_f64()
    }

    /// The one colour it always has.
    pub(super) fn fixed(&self) -> Option<&'a str> {
        let color = self.property("color");
        (color["mode"] == "fixed").then(|| color["fixedColor"].as_str()).flatten().map(self::color)
    }

    /// Whether its colour goes by its value.
    pub(super) fn by_value(&self) -> bool {
        self.property("color")["mode"] == "thresholds"
    }

    /// The colour of a value by the thresholds.
    pub(super) fn step(&self, value: f64) -> &'a str {
        let steps = list(&self.property("thresholds")["steps"]);
        let mut reached =
            steps.filter(|step| step["value"].as_f64().is_none_or(|from| value >= from));
        color(reached.next_back().and_then(|step| step["color"].as_str()).unwrap_or("text"))
    }

    /// The word that stands for a value, with its colour.
    pub(super) fn word(&self, value: &str) -> Option<(&'a str, &'a str)> {
        let found =
            list(self.property("mappings")).find_map(|mapping| match mapping["type"].as_str() {
                Some("range") => {
                    let from = mapping["options"]["from"].as_f64()?;
                    let number = value.parse::<f64>().ok()?;
                    (number >= from).then_some(&mapping["options"]["result"])
                }
                _ => mapping["options"].get(value),
            })?;
        Some((found["text"].as_str()?, color(found["color"].as_str().unwrap_or("text"))))
    }

    /// A value as text, with the colour it has for itself.
    pub(super) fn shown(&self, value: f64) -> (String, Option<&'a str>) {
        match self.word(&value.to_string()) {
            Some((word, color)) => (word.to_owned(), Some(color)),
            None => {
                let color = self.by_value().then(|| self.step(value));
                (units::figure(value, self.unit()), color)
            }
        }
    }
}

/// The values of an array; none of anything else.
pub(super) fn list(value: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn panel() -> Value {
        json!({ "fieldConfig": {
            "defaults": {
                "unit": "s", "custom": { "lineWidth": 1 }, "color": { "mode": "thresholds" },
                "mappings": [
                    { "type": "value", "options": { "1": { "text": "there", "color": "green" } } },
                    { "type": "range", "options": { "from": 100, "to": null, "result": { "text": "never", "color": "blue" } } },
                ],
                "thresholds": { "steps": [{ "color": "red", "value": null }, { "color": "green", "value": 60 }] },
            },
            "overrides": [
                { "matcher": { "id": "byName", "options": "limit" },
                  "properties": [{ "id": "unit", "value": "bytes" }, { "id": "color", "value": { "mode": "fixed", "fixedColor": "red" } }] },
                { "matcher": { "id": "byFrameRefID", "options": "B" },
                  "properties": [{ "id": "custom.lineWidth", "value": 2 }] },
            ],
        } })
    }

    #[test]
    fn an_override_comes_before_the_default() {
        let panel = panel();
        let (plain, limit) = (Look::of(&panel, "used", "A"), Look::of(&panel, "limit", "B"));
        assert_eq!((plain.unit(), limit.unit()), ("s", "bytes"));
        assert_eq!((plain.fixed(), limit.fixed()), (None, Some(color("red"))));
        assert_eq!(plain.number("custom.lineWidth"), Some(1.0));
        assert_eq!(limit.number("custom.lineWidth"), Some(2.0));
    }

    #[test]
    fn a_value_is_shown_as_its_word_or_in_the_colour_of_its_step() {
        let panel = panel();
        let look = Look::of(&panel, "x", "A");
        assert_eq!(look.shown(1.0), ("there".into(), Some(color("green"))));
        assert_eq!(look.shown(150.0), ("never".into(), Some(color("blue"))));
        assert_eq!(look.shown(30.0), ("30 s".into(), Some(color("red"))));
        assert_eq!(look.shown(90.0), ("1.50 min".into(), Some(color("green"))));
    }
}
