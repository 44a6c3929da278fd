//! Namespaces to choose from on the confirm page, without a script: each option says all that was shown of it.

use bindery_engine::flows::{Choice, Place};
use form_urlencoded::Serializer;

use crate::{
    failure::Failure,
    query::{self, Known},
};

/// What an option says.
const SAID: [Known; 3] = [("namespace", 128), ("instance_type", 128), ("region", 128)];

/// A namespace that is offered.
#[derive(Debug)]
pub(crate) struct Offer {
    /// What comes back when it is chosen.
    pub(crate) value: String,
    /// What the person reads.
    pub(crate) label: String,
}

impl From<&Choice> for Offer {
    fn from(choice: &Choice) -> Self {
        let Place {
            namespace,
            instance_type,
            region,
        } = &choice.place;
        let mut value = Serializer::new(String::new());
        value.append_pair("namespace", namespace);
        value.append_pair("instance_type", instance_type);
        value.append_pair("region", region);
        let parts = [namespace, instance_type, region];
        let known: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let known = known.iter().map(|part| part.as_str()).collect::<Vec<_>>();
        let label = match choice.display_name.as_str() {
            "" => known.join(", "),
            name => format!("{name} ({})", known.join(", ")),
        };
        Self {
            value: value.finish(),
            label,
        }
    }
}

/// What was shown of the namespace that was chosen.
pub(crate) fn chosen(value: &str) -> Result<Place, Failure> {
    let [namespace, instance_type, region] = query::pick(value, SAID)?;
    Ok(Place {
        namespace: namespace.ok_or(Failure::Malformed)?,
        instance_type: instance_type.unwrap_or_default(),
        region: region.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a page offers comes back as it was, whatever stands in it.
    #[test]
    fn an_offer_comes_back() {
        let place = Place {
            namespace: "namespaces/acme".to_owned(),
            instance_type: "large & \"fast\"".to_owned(),
            region: "a=b".to_owned(),
        };
        let choice = Choice {
            place: place.clone(),
            display_name: "Acme".to_owned(),
        };
        let offer = Offer::from(&choice);
        assert_eq!(offer.label, "Acme (namespaces/acme, large & \"fast\", a=b)");
        assert!(matches!(chosen(&offer.value), Ok(back) if back == place));
        assert!(matches!(chosen("region=x"), Err(Failure::Malformed)));
        assert!(matches!(
            chosen("namespace=a&namespace=b"),
            Err(Failure::Malformed)
        ));
    }
}
