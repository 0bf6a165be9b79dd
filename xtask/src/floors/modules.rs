//! Reads the modules of a crate: the names in them, and the places that mention names. Test code is left out.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Ident, Item, Meta, Token, UseTree, Visibility};

/// Reads a file by its path.
pub(super) type Read<'a> = &'a dyn Fn(&str) -> Option<String>;
/// The words of a path: `crate::port::Port` has three.
pub(super) type Words = Vec<String>;

/// All modules of a package, of its library and its programs.
#[derive(Default)]
pub(super) struct Modules {
    pub(super) all: Vec<Module>,
    pub(super) files: Vec<String>,
    pub(super) mentions: Vec<Mention>,
    /// The library's name and root, for the programs beside it.
    pub(super) library: Option<(String, usize)>,
    /// The `macro_rules!` macros, which any later file can use, and their files.
    pub(super) macros: Vec<(String, usize)>,
}

pub(super) struct Module {
    pub(super) file: usize,
    pub(super) parent: Option<usize>,
    /// A name may appear twice: once for each system.
    pub(super) names: Vec<(String, Named)>,
    /// The paths of `use PATH::*`.
    pub(super) globs: Vec<Words>,
}

pub(super) enum Named {
    Module(usize),
    Item,
    Use(Words),
}

/// A place in the code that names something.
pub(super) struct Mention {
    pub(super) module: usize,
    pub(super) line: usize,
    pub(super) words: Words,
    pub(super) form: Form,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Path,
    Macro,
    Use,
    ReExport,
}

impl Modules {
    /// Reads a target's root, and the files of its modules.
    pub(super) fn read_root(&mut self, path: &str, read: Read<'_>) -> usize {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        self.read_file(path, directory, None, read)
    }

    fn read_file(&mut self, path: &str, directory: &str, parent: Option<usize>, read: Read<'_>) -> usize {
        let text = read(path).unwrap_or_else(|| panic!("there is no {path}"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("cannot parse {path}: {error}"));
        let file = self.files.iter().position(|known| known == path).unwrap_or(self.files.len());
        if file == self.files.len() {
            self.files.push(path.to_owned());
        }
        let module = self.add(file, parent);
        Reader { modules: self, read, module, directory: directory.to_owned() }.visit_file(&parsed);
        module
    }

    fn add(&mut self, file: usize, parent: Option<usize>) -> usize {
        self.all.push(Module { file, parent, names: Vec::new(), globs: Vec::new() });
        self.all.len() - 1
    }
}

struct Reader<'a> {
    modules: &'a mut Modules,
    read: Read<'a>,
    module: usize,
    /// The directory of the files of this module's children.
    directory: String,
}

impl Reader<'_> {
    fn module(&mut self) -> &mut Module {
        &mut self.modules.all[self.module]
    }

    fn define(&mut self, name: &Ident, named: Named) {
        self.module().names.push((name.unraw().to_string(), named));
    }

    fn mention(&mut self, words: Words, line: usize, form: Form) {
        self.modules.mentions.push(Mention { module: self.module, line, words, form });
    }

    fn read_child(&mut self, child: &syn::ItemMod) {
        let name = child.ident.unraw().to_string();
        let directory = format!("{}/{name}", self.directory);
        let Self { module, read, .. } = *self;
        let id = if let Some((_, items)) = &child.content {
            let id = self.modules.add(self.modules.all[module].file, Some(module));
            let mut inner = Reader { modules: self.modules, read, module: id, directory };
            items.iter().for_each(|item| inner.visit_item(item));
            id
        } else {
            let own = self.modules.files[self.modules.all[module].file].clone();
            let beside = own.rsplit_once('/').map_or("", |(beside, _)| beside);
            let path = match child.attrs.iter().find_map(path_attribute) {
                Some(path) => format!("{beside}/{path}"),
                None => [format!("{directory}.rs"), format!("{directory}/mod.rs")]
                    .into_iter()
                    .find(|path| read(path).is_some())
                    .unwrap_or_else(|| panic!("{own} declares `{name}`, and there is no {directory}.rs")),
            };
            self.modules.read_file(&path, &directory, Some(module), read)
        };
        self.define(&child.ident, Named::Module(id));
    }

    fn read_use(&mut self, tree: &UseTree, mut words: Words, form: Form) {
        match tree {
            UseTree::Path(path) => {
                words.push(path.ident.unraw().to_string());
                self.read_use(&path.tree, words, form);
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.read_use(tree, words.clone(), form)),
            UseTree::Glob(_) => self.module().globs.push(words),
            UseTree::Name(name) => self.read_name(words, &name.ident, &name.ident, form),
            UseTree::Rename(rename) => self.read_name(words, &rename.ident, &rename.rename, form),
        }
    }

    fn read_name(&mut self, mut words: Words, name: &Ident, renamed: &Ident, form: Form) {
        if name == "self" {
            // A path to a module. The names taken from it are mentioned on their own.
            let own = if name == renamed { words.last().cloned() } else { Some(renamed.unraw().to_string()) };
            self.module().names.extend(own.map(|own| (own, Named::Use(words))));
            return;
        }
        words.push(name.unraw().to_string());
        self.mention(words.clone(), line(name), form);
        if renamed != "_" {
            self.module().names.push((renamed.unraw().to_string(), Named::Use(words)));
        }
    }

    /// Finds paths in the text of a macro or an attribute, whose grammar is unknown.
    fn scan(&mut self, tokens: TokenStream, with_texts: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is = |at: usize, sign: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == sign);
        let mut at = 0;
        while at < tokens.len() {
            let begin = at;
            at += 1;
            match &tokens[begin] {
                TokenTree::Group(group) => self.scan(group.stream(), with_texts),
                TokenTree::Literal(text) if with_texts => {
                    let text = text.to_string();
                    if let Ok(path) = syn::parse_str::<syn::Path>(text.trim_matches('"')) {
                        self.mention(words(&path), tokens[begin].span().start().line, Form::Path);
                    }
                }
                TokenTree::Ident(first) => {
                    let mut words = vec![first.unraw().to_string()];
                    while let (true, true, Some(TokenTree::Ident(next))) =
                        (is(at, ':'), is(at + 1, ':'), tokens.get(at + 2))
                    {
                        words.push(next.unraw().to_string());
                        at += 3;
                    }
                    let before = |sign| begin > 0 && is(begin - 1, sign);
                    let is_called = matches!(tokens.get(at), Some(TokenTree::Group(_))) || is(at, '!');
                    let is_type = words[0].starts_with(char::is_uppercase);
                    let is_alone = words.len() == 1 && !is_called && !is_type;
                    if !(is_alone || before('.') || before('\'') || begin > 1 && before(':') && is(begin - 2, ':')) {
                        let form = if is(at, '!') { Form::Macro } else { Form::Path };
                        self.mention(words, line(first), form);
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Union(item) => (&item.attrs, Some(&item.ident)),
            Item::Mod(item) => (&item.attrs, None),
            Item::Use(item) => (&item.attrs, None),
            Item::Impl(item) => (&item.attrs, None),
            Item::ForeignMod(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if is_test(attributes) {
            return;
        }
        if let Some(name) = name {
            self.define(name, Named::Item);
        }
        match item {
            Item::Mod(child) => self.read_child(child),
            Item::Use(item) if item.leading_colon.is_none() => {
                let is_private = matches!(item.vis, Visibility::Inherited);
                self.read_use(&item.tree, Vec::new(), if is_private { Form::Use } else { Form::ReExport });
            }
            Item::Use(_) => {}
            Item::Macro(rules) if rules.ident.is_some() => {
                let file = self.module().file;
                let name = rules.ident.as_ref().map(ToString::to_string).unwrap_or_default();
                self.modules.macros.push((name, file));
                self.scan(rules.mac.tokens.clone(), false);
            }
            item => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            _ => return visit::visit_impl_item(self, item),
        };
        if !is_test(attributes) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_test(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_local(&mut self, local: &'ast syn::Local) {
        if !is_test(&local.attrs) {
            visit::visit_local(self, local);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            self.mention(words(path), line(&path.segments[0].ident), Form::Path);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast syn::Macro) {
        self.mention(words(&called.path), line(&called.path.segments[0].ident), Form::Macro);
        self.scan(called.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if let Meta::List(list) = &attribute.meta
            && !attribute.path().is_ident("cfg")
        {
            self.scan(list.tokens.clone(), attribute.path().is_ident("serde"));
        }
    }
}

fn line(name: &Ident) -> usize {
    name.span().start().line
}

fn words(path: &syn::Path) -> Words {
    path.segments.iter().map(|segment| segment.ident.unraw().to_string()).collect()
}

fn path_attribute(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(value) if value.path.is_ident("path") => match &value.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(path), .. }) => Some(path.value()),
            _ => None,
        },
        _ => None,
    }
}

fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            list.parse_args().is_ok_and(|condition| needs_test(&condition))
        }
        Meta::Path(path) => path.is_ident("test"),
        _ => false,
    })
}

/// Whether this attribute leaves an item in tests only.
fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test") || path.is_ident("doctest"),
        Meta::List(list) => {
            let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
            list.path.is_ident("all") && parts.iter().any(needs_test)
                || list.path.is_ident("any") && parts.iter().all(needs_test)
        }
        Meta::NameValue(_) => false,
    }
}
