from lab.office.site.public import statement_of


def test_x(built):
    site = built / "site"
    print(statement_of(site))
    for p in sorted(site.rglob("*")):
        if p.is_file():
            print(p.relative_to(site), p.stat().st_size)
