//! What an expression may not say, found in its syntax tree before it is compiled.

use jaq_core::load::lex::{Lexer, StrPart, Token};
use jaq_core::load::parse::{BinaryOp, Parser, Pattern, Term};
use jaq_core::path::Part;

use super::JqError;
use super::place::Place;

/// How deep a syntax tree may be; jaq recurses as deep when it runs.
const MAX_DEPTH: usize = 200;

/// What reaches outside the expression: process, terminal, clock and time zone of the machine.
const OUTSIDE: [&str; 18] = [
    "$ENV",
    "debug",
    "debug_empty",
    "env",
    "get_search_list",
    "halt",
    "halt_error",
    "input",
    "input_filename",
    "input_line_number",
    "inputs",
    "localtime",
    "modulemeta",
    "now",
    "stderr",
    "stderr_empty",
    "strflocaltime",
    "$__prog_args",
];

/// What may go on for ever, or for as long as a number says.
const ENDLESS: [&str; 9] =
    ["combinations", "jn", "limit", "range", "recurse", "repeat", "until", "while", "yn"];

/// Whether an expression may not use this filter or variable.
pub(super) fn is_denied(name: &str) -> bool {
    OUTSIDE.contains(&name) || ENDLESS.contains(&name)
}

/// Parses an expression and refuses what it may not say.
pub(super) fn parse(text: &str) -> Result<Term<&str>, JqError> {
    let place = Place(text);
    let tokens = Lexer::new(text).lex().map_err(|errors| place.lexical(&errors))?;
    if let Some(Token(word @ ("import" | "include" | "module"), _)) = tokens.first() {
        return Err(place.denied(word));
    }
    let term =
        Parser::new(&tokens).parse(|parser| parser.term()).map_err(|errors| place.grammatical(&errors))?;
    check(&place, &term, 0)?;
    Ok(term)
}

fn check(place: &Place<'_>, term: &Term<&str>, depth: usize) -> Result<(), JqError> {
    // A text of many parts and an object of many keys become sums, nested as deep as they are long.
    let depth = depth
        + match term {
            Term::Str(_, parts) => parts.len().max(1),
            Term::Obj(entries) => entries.len().max(1),
            _ => 1,
        };
    if depth > MAX_DEPTH {
        return Err(JqError::TooMuch {
            what: "nesting in the expression",
            limit: format!("{MAX_DEPTH} levels"),
        });
    }
    if let Term::Def(definitions, _) = term {
        // The keyword itself is not in the tree; the name after it is.
        return Err(definitions
            .first()
            .map_or_else(|| place.denied("def"), |def| place.denied_at(def.name, "def")));
    }
    if let Some(name) = names(term).find(|name| is_denied(name)) {
        return Err(place.denied(name));
    }
    let mut outcome = Ok(());
    parts(term, &mut |part| {
        if outcome.is_ok() {
            outcome = check(place, part, depth);
        }
    });
    outcome
}

/// The filters and variables that this one term names.
pub(super) fn names<'s>(term: &Term<&'s str>) -> impl Iterator<Item = &'s str> {
    match term {
        Term::Call(name, _) | Term::Var(name) | Term::Str(Some(name), _) => Some(*name),
        _ => None,
    }
    .into_iter()
}

/// Shows all terms directly within a term.
pub(super) fn parts<'t, 's>(term: &'t Term<&'s str>, see: &mut dyn FnMut(&'t Term<&'s str>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, pieces) => pieces.iter().for_each(|piece| {
            if let StrPart::Term(term) = piece {
                see(term);
            }
        }),
        Term::Arr(inner) => inner.iter().for_each(|term| see(term)),
        Term::Obj(entries) => entries.iter().for_each(|(key, value)| {
            see(key);
            value.iter().for_each(&mut *see);
        }),
        Term::Neg(inner) | Term::Label(_, inner) => see(inner),
        Term::BinOp(left, operator, right) => {
            see(left);
            if let BinaryOp::Pipe(Some(pattern)) = operator {
                pattern_parts(pattern, see);
            }
            see(right);
        }
        Term::Fold(_, over, pattern, arguments) => {
            see(over);
            pattern_parts(pattern, see);
            arguments.iter().for_each(see);
        }
        Term::TryCatch(body, catch) => {
            see(body);
            catch.iter().for_each(|term| see(term));
        }
        Term::IfThenElse(branches, otherwise) => {
            branches.iter().for_each(|(condition, branch)| {
                see(condition);
                see(branch);
            });
            otherwise.iter().for_each(|term| see(term));
        }
        Term::Def(definitions, body) => {
            definitions.iter().for_each(|definition| see(&definition.body));
            see(body);
        }
        Term::Call(_, arguments) => arguments.iter().for_each(see),
        Term::Path(of, path) => {
            see(of);
            path.0.iter().for_each(|(part, _)| match part {
                Part::Index(index) => see(index),
                Part::Range(start, end) => start.iter().chain(end).for_each(&mut *see),
            });
        }
    }
}

fn pattern_parts<'t, 's>(pattern: &'t Pattern<&'s str>, see: &mut dyn FnMut(&'t Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(parts) => parts.iter().for_each(|part| pattern_parts(part, see)),
        Pattern::Obj(parts) => parts.iter().for_each(|(key, part)| {
            see(key);
            pattern_parts(part, see);
        }),
    }
}
