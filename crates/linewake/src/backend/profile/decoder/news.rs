//! Recognises answers that say nothing new.

use super::EdgeDecoder;
use crate::profile::{Means, Role, Since};

impl EdgeDecoder {
    /// True if the bytes of an answer say something new, also about lines and edges that the request does not watch.
    /// Only a driver that answers at once with nothing new may be called less often.
    pub(in super::super) fn is_news(&mut self, teller: Option<usize>, place: Option<usize>, bytes: &[u8]) -> bool {
        let plan = self.plan.clone();
        let told = plan.told(teller);
        let Ok(records) = told.records(bytes) else { return true };
        if told.length == 0 {
            return true;
        }
        self.says.clear();
        for (_, record) in records {
            let part = |role| told.field(role).and_then(|field| field.bytes(record)).unwrap_or_default();
            let is_set = |role| part(role).iter().any(|&byte| byte != 0);
            let is_edge = |edge| edge == told.rising || edge == told.falling;
            let is_news = match plan.wait.means {
                Means::Edge => plan.wait.edge.is_some() || told.get(Role::Edge, record).is_some_and(is_edge),
                Means::Mask => [Role::Changed, Role::Rising, Role::Falling].into_iter().any(is_set),
                Means::Count if told.since == Since::Last => is_set(Role::Count),
                Means::Count | Means::Level => {
                    let parts = [Role::Line, Role::Level, Role::Levels, Role::Count].map(part);
                    parts.into_iter().for_each(|part| self.says.extend_from_slice(part));
                    false
                }
            };
            if is_news {
                return true;
            }
        }
        let said = self.said.entry((teller, place)).or_default();
        let is_news = *said != self.says;
        std::mem::swap(said, &mut self.says);
        is_news
    }
}
