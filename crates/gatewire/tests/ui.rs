//! What the compiler says to the mistakes that users make first. `TRYBUILD=overwrite` writes the expected texts anew.

#[test]
fn compiler_messages() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
