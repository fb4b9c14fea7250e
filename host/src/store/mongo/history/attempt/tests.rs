use super::{Attempt, InBlocks, Verdict, Wanted};
use crate::store::mongo::archive::blocks::{Archived, Outcome, WithId};
use crate::store::mongo::archive::memory::Seen;
use crate::store::mongo::archive::told::Told;
use crate::store::mongo::questions::{Hidden, Layout, Question};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};

/// An archive of ten messages, with ids from 0 to 9, that has had so many updates.
fn archive(writes: i64) -> Document {
    doc! { "id": ObjectId::from_bytes([1; 12]), "count": 10_i64, "top": 9_i64, "writes": writes, "fence": 1_i64 }
}

fn answer(archive: Option<Document>, more: Document) -> RawDocumentBuf {
    let mut answer = doc! {};
    answer.extend(archive.map(|archive| (String::from("archive"), Bson::from(archive))));
    answer.extend(more);
    RawDocumentBuf::try_from(&answer).unwrap_or_default()
}

fn told(archive: Option<Document>) -> Told {
    Told::of(&answer(archive, doc! {})).unwrap_or_default()
}

fn seen(archive: Option<Document>) -> Seen {
    Seen { archive: told(archive).archive, layout: Layout::Plain, hidden: Hidden::None }
}

fn with_id(found: bool) -> InBlocks {
    let archived = Archived { first: 0, at: 0, block_size: 0, message: RawDocumentBuf::new() };
    InBlocks::Id(WithId { archived: Vec::from_iter(found.then_some(archived)), elsewhere: Vec::new() })
}

const PAGE: Wanted<'_> = Wanted::Page { offset: 5, limit: Some(10), omit: &[], max_bytes: usize::MAX };
const MESSAGE: Wanted<'_> = Wanted::Message { id: 5, omit: &[] };
const LOOK: Wanted<'_> = Wanted::Look { id: 5, question: &Question { message_id: Some(5), omit: &[], key: None, grows: false } };

struct Case {
    name: &'static str,
    wanted: Wanted<'static>,
    seen: Option<Document>,
    told: Option<Document>,
    /// What else the document says.
    says: Document,
    is_primary: bool,
    /// What the document told when its blocks did not fit it.
    unfit: Option<Told>,
    blocks: InBlocks,
    outcome: Option<Outcome>,
}

/// A first read of a page that was guessed right, of an archive whose blocks are whole.
impl Default for Case {
    fn default() -> Self {
        Self {
            name: "a page",
            wanted: PAGE,
            seen: Some(archive(1)),
            told: Some(archive(1)),
            says: doc! { "page": [] },
            is_primary: false,
            unfit: None,
            blocks: InBlocks::Page(Vec::new()),
            outcome: Some(Outcome::Complete),
        }
    }
}

impl Case {
    fn of(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// The same read of a message that was not found.
    fn of_message(name: &'static str, wanted: Wanted<'static>) -> Self {
        Self { name, wanted, says: doc! {}, blocks: with_id(false), ..Self::default() }
    }

    /// InBlocks that did not fit, on the primary, twice if so.
    fn unfit(self, outcome: Outcome, twice: bool) -> Self {
        let unfit = twice.then(|| told(self.told.clone()));
        Self { is_primary: true, unfit, outcome: Some(outcome), ..self }
    }

    fn verdict(self) -> crate::error::Result<(&'static str, Verdict)> {
        let attempt = Attempt::of(answer(self.told, self.says), seen(self.seen), self.is_primary)?;
        let attempt = Attempt { blocks: self.blocks, outcome: self.outcome, ..attempt };
        Ok((self.name, attempt.judge(&self.wanted, self.unfit.as_ref())))
    }
}

#[test]
fn each_attempt_is_judged_by_what_it_has_brought() -> crate::error::Result<()> {
    use Outcome::{Gaps, Newer};
    use Verdict::*;
    let other = Some(told(Some(archive(2))));
    let cases = [
        (Case::of("all blocks are there"), Answer),
        (Case { blocks: InBlocks::Nothing, outcome: None, seen: None, told: None, ..Case::of("nothing is archived") }, Answer),
        // A question that was guessed wrong.
        (Case { seen: None, ..Case::of("an archive that was not known") }, AskAgain),
        (Case { told: None, outcome: None, ..Case::of("an archive that is gone") }, AskAgain),
        (Case { says: doc! { "page": Bson::Null }, ..Case::of("messages out of their order") }, AskAgain),
        (Case { says: doc! { "page": [], "moving": [1] }, ..Case::of("messages on their way") }, AskAgain),
        // InBlocks that do not fit.
        (Case::of("missing blocks, once").unfit(Gaps, false), ReadAgain),
        (Case::of("missing blocks, twice").unfit(Gaps, true), AnswerWithGaps),
        (Case { is_primary: false, ..Case::of("missing blocks, by a secondary").unfit(Gaps, true) }, ReadAgain),
        (Case { unfit: other, ..Case::of("missing blocks of another state").unfit(Gaps, true) }, ReadAgain),
        (Case::of("newer blocks, once").unfit(Newer, false), ReadAgain),
        (Case::of("newer blocks, twice").unfit(Newer, true), TakeNewer),
        (Case::of_message("a newer block of a message", MESSAGE).unfit(Newer, true), TakeNewer),
        (Case::of_message("a newer block of a look, once", LOOK).unfit(Newer, false), ReadAgain),
        (Case::of_message("a newer block of a look, twice", LOOK).unfit(Newer, true), Refuse),
        // Messages.
        (Case { blocks: with_id(true), ..Case::of_message("a message in a block", MESSAGE) }, Answer),
        (Case { blocks: with_id(true), ..Case::of_message("a look at one", LOOK) }, Answer),
        (Case::of_message("a message in no block", MESSAGE), AskDocument),
        (Case { seen: None, ..Case::of_message("a message that is nowhere", MESSAGE) }, AnswerIfUnmoved),
        (Case { seen: None, says: doc! { "message": {} }, ..Case::of_message("one behind the archive", MESSAGE) }, Answer),
        (Case { told: None, outcome: None, ..Case::of_message("a message whose archive is gone", MESSAGE) }, AskAgain),
        (Case::of_message("a look at nothing", LOOK), AnswerIfUnmoved),
        (Case { says: doc! { "message": {} }, ..Case::of_message("a look at a recent message", LOOK) }, Answer),
    ];
    for (case, expected) in cases {
        let (name, verdict) = case.verdict()?;
        assert_eq!(verdict, expected, "{name}");
    }
    Ok(())
}

#[test]
fn blocks_that_were_read_early_count_only_if_the_archive_is_as_seen() -> crate::error::Result<()> {
    let (old, new) = (archive(1), archive(2));
    let mut moved = old.clone();
    moved.insert("count", 11_i64);
    for (seen_archive, told_archive, wanted, counts) in [
        (Some(&old), &old, PAGE, true),
        (Some(&old), &old, MESSAGE, true),
        (Some(&old), &new, PAGE, false),
        (Some(&old), &new, MESSAGE, false),
        (Some(&old), &moved, MESSAGE, false),
        (None, &old, LOOK, false),
    ] {
        let attempt = Attempt::of(answer(Some(told_archive.clone()), doc! { "page": [] }), seen(seen_archive.cloned()), false)?;
        let guessed = attempt.part(&wanted).map(|(part, archive)| attempt.is_as_guessed(&wanted, &part, archive));
        assert_eq!(guessed, Some(counts), "{seen_archive:?} {told_archive:?}");
    }
    Ok(())
}
