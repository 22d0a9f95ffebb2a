//! Which form a scraper gets, and whether compressed: its `Accept` and `Accept-Encoding` (RFC 9110, section 12).

use super::text::Format;

/// The form that an `Accept` header wants. OpenMetrics is for those who name it and want it at least as much as plain
/// text. All others get the text format, also when they accept neither: a scraper that names something else reads it all
/// the same, and Prometheus' own client libraries do so too.
pub fn form(accept: &str) -> Format {
    let (mut open_metrics, mut text) = (0.0, 0.0);
    for (range, parameters) in ranges(accept) {
        let (quality, version) = (quality(parameters), parameter(parameters, "version"));
        if range.eq_ignore_ascii_case("application/openmetrics-text")
            && version.is_none_or(|version| version == "1.0.0")
        {
            open_metrics = quality;
        }
        if range.eq_ignore_ascii_case("text/plain")
            && version.is_none_or(|version| version == "0.0.4")
        {
            text = quality;
        }
    }
    if open_metrics > 0.0 && open_metrics >= text { Format::OpenMetrics } else { Format::Text }
}

/// Whether an `Accept-Encoding` header takes gzip.
pub fn takes_gzip(accept_encoding: &str) -> bool {
    let of = |wanted: &str| {
        ranges(accept_encoding)
            .find(|(coding, _)| coding.eq_ignore_ascii_case(wanted))
            .map(|(_, parameters)| quality(parameters) > 0.0)
    };
    of("gzip").or_else(|| of("*")).unwrap_or(false)
}

/// The parts between commas: what is named, and its parameters.
fn ranges(header: &str) -> impl Iterator<Item = (&str, &str)> {
    header.split(',').map(|part| {
        let (range, parameters) = part.split_once(';').unwrap_or((part, ""));
        (range.trim(), parameters)
    })
}

fn parameter<'a>(parameters: &'a str, wanted: &str) -> Option<&'a str> {
    parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim().eq_ignore_ascii_case(wanted).then_some(value)
    })
}

/// How much it is wanted, 0 to 1; what cannot be read is as good as not said.
fn quality(parameters: &str) -> f64 {
    let said = parameter(parameters, "q").and_then(|q| q.parse::<f64>().ok());
    said.filter(|q| (0.0..=1.0).contains(q)).unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scraper_gets_the_form_it_wants_most() {
        const PROMETHEUS_2: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        const PROMETHEUS_3: &str = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accept, form_of) in [
            (PROMETHEUS_2, Format::OpenMetrics),
            (PROMETHEUS_3, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.2", Format::OpenMetrics),
            ("application/openmetrics-text, */*", Format::OpenMetrics),
            ("application/openmetrics-text;q=0.4, text/plain;q=0.5", Format::Text),
            ("application/openmetrics-text;version=0.0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", Format::Text),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily",
                Format::Text,
            ),
            ("application/json", Format::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Text),
            ("*/*", Format::Text),
            ("", Format::Text),
            (";;q=,,=;version", Format::Text),
        ] {
            assert_eq!(form(accept), form_of, "{accept}");
        }
    }

    #[test]
    fn gzip_is_for_those_who_take_it() {
        for (header, takes) in [
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("*", true),
            ("*;q=0.1, gzip;q=0", false),
            ("identity", false),
            ("", false),
        ] {
            assert_eq!(takes_gzip(header), takes, "{header}");
        }
    }
}
