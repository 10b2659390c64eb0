"""Secrets within values and lines: every disguise is seen through, and plain sentences stay."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.events.redaction import MARKER, Redactor

redactor = Redactor()
AUTH_LOG = Path(__file__).parents[5] / "shared" / "data" / "OpenSSH_2k.log"

REDACTED: list[tuple[str, str]] = [
    # name=value and name: value
    ("password=S3CR3T user=bob", "password=# user=bob"),
    ("user=bob password=S3CR3T", "user=bob password=#"),
    ("password: S3CR3T", "password: #"),
    ("password:S3CR3T", "password:#"),
    ("DB_PASSWORD = S3CR3T", "DB_PASSWORD = #"),
    ("DB_PASSWORD='S3CR3T S3CR3T' next", "DB_PASSWORD='#' next"),
    ('password := "S3CR3T"', 'password := "#"'),
    ("api key: S3CR3T", "api key: #"),
    ("the password is: S3CR3T", "the password is: #"),
    ("token=S3CR3T,S3CR3T,user=x", "token=#,user=x"),
    ('password=S3"CR3T', "password=#"),
    ("password=<S3CR3T>", "password=#>"),
    ("Account(user='bob', password='S3CR3T', n=1)", "Account(user='bob', password='#', n=1)"),
    ("Account(user=bob, password=S3CR3T, n=1)", "Account(user=bob, password=#, n=1)"),
    ("{Password:S3CR3T Token:S3CR3T}", "{Password:# Token:#}"),
    ("a|password=S3CR3T|b=1", "a|password=#|b=1"),
    ("pin=1234 cvc=123", "pin=# cvc=#"),
    (r"x\npin=S3CR3T\nuser=b", r"x\npin=#\nuser=b"),
    ("password=[REDACTED]S3CR3T", "password=#"),
    # quotes, escapes and what is cut off
    ('{"a":1,"password":"S3CR3T', '{"a":1,"password":"#'),
    ('{"a":1,"password":{"x":["S3CR3T","b', '{"a":1,"password":"#"'),
    ('{"a":1,"password":12345,"b":2', '{"a":1,"password":"#","b":2'),
    (r'body={"password":"S3CR3T x\"S3CR3T","user":"bob"} end', r'body={"password":"#","user":"bob"} end'),
    (r"b={\"password\":\"S3CR3T x\\\"S3CR3T\",\"user\":\"bob\"}", r"b={\"password\":\"#\",\"user\":\"bob\"}"),
    (r"b={\"password\":\"S3CR3T\\\\\",\"user\":\"bob\"}", r"b={\"password\":\"#\",\"user\":\"bob\"}"),
    (r"{'password': 'S3CR3T it\'s S3CR3T', 'u': 'b'}", "{'password': '#', 'u': 'b'}"),
    ('x={"password" : { "a": "}S3CR3T" } , "b": 1}', 'x={"password" : "#" , "b": 1}'),
    (r'{"p\u0061ssword":"S3CR3T","x', r'{"p\u0061ssword":"#","x'),
    ('"password": "a ""S3CR3T"" b", x', '"password": "#", x'),
    ("&quot;password&quot;:&quot;S3CR3T&quot;,", "&quot;password&quot;:&quot;#&quot;,"),
    (":password=>'S3CR3T', x", ":password=>'#', x"),
    ('["password"]=>\n  string(6) "S3CR3T"', '["password"]=>\n  string(6) "#"'),
    ("[password] => S3CR3T\n[x] => 1", "[password] => #\n[x] => 1"),
    # paths
    ('{"a":1,"/run/secrets/db_password": "S3CR3T"', '{"a":1,"/run/secrets/db_password": "#"'),
    ("kv/db/password: S3CR3T7x", "kv/db/password: #"),
    ("https://h/token:S3CR3T", "https://h/token:#"),
    # command lines
    ("CMD ('/usr/bin/mysql' '-u' 'root' mysql '-pS3CR3T')", "CMD ('/usr/bin/mysql' '-u' 'root' mysql '-p#')"),
    ("bob : COMMAND=/usr/bin/sshpass -p S3CR3T ssh bob@h", "bob : COMMAND=/usr/bin/sshpass -p # ssh bob@h"),
    ("sshpass -pS3CR3T ssh h", "sshpass -p# ssh h"),
    ("COMMAND=/usr/sbin/useradd -p S3CR3T ann", "COMMAND=/usr/sbin/useradd -p # ann"),
    ("podman login -u ann -p S3CR3T quay.io", "podman login -u ann -p # quay.io"),
    ("rpcclient -U ann%S3CR3T dc1", "rpcclient -U ann%# dc1"),
    ("ENV=SSHPASS=S3CR3T ; COMMAND=/usr/bin/ssh h", "ENV=SSHPASS=# ; COMMAND=/usr/bin/ssh h"),
    ("PGPASS=S3CR3T psql", "PGPASS=# psql"),
    (
        'type=EXECVE msg=audit(1.2:3): argc=4 a0="sshpass" a1="-p" a2="S3CR3T" a3="ssh"',
        'type=EXECVE msg=audit(1.2:3): argc=4 a0="sshpass" a1="-p" a2="#" a3="ssh"',
    ),
    ('a0="/usr/bin/curl" a1="-u" a2="ann:S3CR3T" a3="h"', 'a0="/usr/bin/curl" a1="-u" a2="ann:#" a3="h"'),
    ('argc=3 a0="mysql" a1="-uroot" a2="-pS3CR3T"', 'argc=3 a0="mysql" a1="-uroot" a2="-p#"'),
    ('a0="wget" a1="--password" a2="S3CR3T" a3="--header=x"', 'a0="wget" a1="--password" a2="#" a3="--header=x"'),
    ('a0="wget" a1="--password=S3CR3T"', 'a0="wget" a1="--password=#"'),
    ('a0="sshpass" a1="-p" a2=68756E746572203222 a3="ssh"', 'a0="sshpass" a1="-p" a2="#" a3="ssh"'),
    ('a0="tool" a1="--password" a2=68756E746572203222 a3="--v"', 'a0="tool" a1="--password" a2="#" a3="--v"'),
    ('a0="sudo" a1="sshpass" a2="-p" a3="S3CR3T"', 'a0="sudo" a1="sshpass" a2="-p" a3="#"'),
    ("curl -s -u bob:S3CR3T https://h/x", "curl -s -u bob:# https://h/x"),
    ("curl --user 'bob:S3CR3T S3CR3T' https://h/x -o y", "curl --user 'bob:#' https://h/x -o y"),
    ("curl --proxy-user=bob:S3CR3T h", "curl --proxy-user=bob:# h"),
    ("curl -u 'bob:S3CR3T -u bob:S3CR3T' https://h", "curl -u 'bob:#' https://h"),
    ("redis-cli -h r -a S3CR3T ping", "redis-cli -h r -a # ping"),
    ("(root) CMD (mysqldump -u root -pS3CR3T shop > /x)", "(root) CMD (mysqldump -u root -p# shop > /x)"),
    ('ldapsearch -x -w "S3CR3T" -b dc=x', 'ldapsearch -x -w "#" -b dc=x'),
    ("smbclient -U bob%S3CR3T //h/s", "smbclient -U bob%# //h/s"),
    ("docker login -u bob -p S3CR3T r.example", "docker login -u bob -p # r.example"),
    # URLs
    (
        "https://a.blob.core.windows.net/c?sv=2024&sig=S3CR3TS3CR3TS3CR3T%2F0%3D&se=x",
        "https://a.blob.core.windows.net/c?sv=2024&sig=#&se=x",
    ),
    ("GET /x?a=1&token=S3CR3T&b=2 HTTP/1.1", "GET /x?a=1&token=#&b=2 HTTP/1.1"),
    ("user%5Bpassword%5D=S3CR3T&x=1", "user%5Bpassword%5D=#&x=1"),
    ("user[password]=S3CR3T&x=1", "user[password]=#&x=1"),
    ("next=%2Fl%3Fpin%3DS3CR3T%26x", "next=%2Fl%3Fpin%3D#%26x"),
    ("https://bob:S3CR3T@h.example/x", "https://bob:#@h.example/x"),
    ("redis://:S3CR3T@h:6379/0", "redis://:#@h:6379/0"),
    ("smtp://bob:S3/CR@S3CR3T@h:25", "smtp://bob:#@h:25"),
    # headers
    ("Cookie: a=S3CR3T; b=S3CR3T next", "Cookie: # next"),
    ("Set-Cookie: a=S3CR3T; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; HttpOnly", "Set-Cookie: #"),
    ("Authorization: Bearer S3CR3T", "Authorization: #"),
    ("authorization: Custom S3CR3T rest", "authorization: # rest"),
    ('Authorization: Digest username="b", response="S3CR3T"', "Authorization: #"),
    ("curl -H 'X-Api-Key: S3CR3T' -d x", "curl -H 'X-Api-Key: #' -d x"),
    ("[('X-Api-Key', 'S3CR3T'), ('Host', 'x')]", "[('X-Api-Key', '#'), ('Host', 'x')]"),
    # forms, elements, options, statements
    ("<a:Password x='1'>S3CR3T</a:Password><b>1</b>", "<a:Password x='1'>#</a:Password><b>1</b>"),
    ('("token", "S3CR3T"), ("a", "b")', '("token", "#"), ("a", "b")'),
    (r'"m":"x {\"password\":\"S3CR3T","b":"kept', r'"m":"x {\"password\":\"#","b":"kept'),
    ("<password>S3CR3T", "<password>#"),
    ('<input name="password" value="S3CR3T">', '<input name="password" value="#">'),
    ('form-data; name="pin"\r\n\r\nS3CR3T\r\n--b--', 'form-data; name="pin"\r\n\r\n#\r\n--b--'),
    ("mysql --password S3CR3T -e x", "mysql --password # -e x"),
    ("CREATE ROLE x WITH PASSWORD 'S3CR3T' VALID", "CREATE ROLE x WITH PASSWORD '#' VALID"),
    # inputs that a validation error repeats
    ("x\n  Short [type=a, input_value='S3CR3T', input_type=str]", "x\n  Short [type=a, input_value=#, input_type=str]"),
    (
        "[type=a, input_value='S3CR3T, input_type=S3CR3T', input_type=str] b",
        "[type=a, input_value=#, input_type=str] b",
    ),
    (
        "[type=a.b, input_value={'u': 'b', 'em...word': 'S3CR3T'}, input_type=dict] [type=b, input_value='S3CR3T",
        "[type=a.b, input_value=#, input_type=dict] [type=b, input_value=#",
    ),
    (
        "e: [{'loc': ('body', 'password'), 'msg': 'm', 'input': 'S3CR3T', 'ctx': {'a': 'S3CR3T'}, 'url': 'u'}]",
        "e: [{'loc': ('body', 'password'), 'msg': 'm', 'input': '#', 'ctx': '#', 'url': 'u'}]",
    ),
    (
        r"e: {\"input\":\"S3CR3T\",\"loc\":[\"pin\"]},{\"loc\":[\"age\"],\"input\":\"a\"}",
        r"e: {\"input\":\"#\",\"loc\":[\"pin\"]},{\"loc\":[\"age\"],\"input\":\"a\"}",
    ),
    # shapes
    ("t eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.S3CR3T x", "t # x"),
    ("with Bearer 0S3CR3T0abcdef.x end", "with Bearer # end"),
    ("with bearer 0S3CR3T0abcdef.x end", "with bearer # end"),
    ("with Basic Ym9iOlMzQ1IzVA== end", "with Basic # end"),
    ("k AKIAIOSFODNN7EXAMPLE k", "k # k"),
    ("-----BEGIN EC PRIVATE KEY-----\nS3CR3T\n-----END EC PRIVATE KEY----- x", "# x"),
    ("a -----BEGIN PRIVATE KEY-----\nS3CR3T", "a #"),
    ("card 4111 1111 1111 1111.", "card #."),
    ("card 3782-822463-10005", "card #"),
    ("99 4111 1111 1111 1111 22", "99 # 22"),
    ("my ssn 123456789 1111", "my ssn # 1111"),
    ("ssn 123456789, 078-05-1120", "ssn #, #"),
    ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "#"),
    ("SG.0123456789abcdefABCDEF.S3CR3T0123456789abcdef", "#"),
    ("k npm_0123456789abcdefghijABCDEFGHIJ012345 k", "k # k"),
    ("pypi-AgEIcHlwaS5vcmcCJDS3CR3T", "#"),
    ("hf_0123456789abcdefghijABCDEFGHIJ0123", "#"),
    ("hvs.CAESIJS3CR3T0123456789abc", "#"),
    ("shpat_0123456789abcdef0123456789abcdef", "#"),
    (
        "https://api.telegram.org/bot123456789:AAES3CR3TabcdefghijABCDEFGHIJ012345/getMe",
        "https://api.telegram.org/bot#/getMe",
    ),
    # rows of a database
    (
        "DETAIL:  Key (email, api_token)=(a@b.c, S3CR3T) already exists.",
        "DETAIL:  Key (email, api_token)=# already exists.",
    ),
    ("DETAIL:  Failing row contains (1, bob, S3CR3T, null).", "DETAIL:  Failing row contains (#)."),
    ("DETAIL:  parameters: $1 = 'bob', $2 = 'S3CR3T'", "DETAIL:  parameters: #"),
    (
        "[SQL: UPDATE u SET password=%s WHERE id=%s] [parameters: ('S3CR3T', 1)] (Background)",
        "[SQL: UPDATE u SET password=# WHERE id=%s] [parameters: #] (Background)",
    ),
    (
        "nothing [parameters: ('bob', 1)] password [parameters: ('S3CR3T', 1)] end",
        "nothing [parameters: ('bob', 1)] password [parameters: #] end",
    ),
    # values told as code
    ('url.Values{"password":[]string{"S3CR3T"}, "a":1}', 'url.Values{"password":"#", "a":1}'),
    ('password=[]byte("S3CR3T") n=1', "password=# n=1"),
    ('password=new String("S3CR3T"); n=1', "password=#; n=1"),
    ("api_key=Secret('S3CR3T', n=f('S3CR3T')) x", "api_key=# x"),
    # names and values in several parts
    ("login[password][]=S3CR3T&x=1", "login[password][]=#&x=1"),
    ("passwords[0]=S3CR3T&passwords[1]=S3CR3T", "passwords[0]=#&passwords[1]=#"),
    ("login%5Bpassword%5D%5B%5D=S3CR3T&x=1", "login%5Bpassword%5D%5B%5D=#&x=1"),
    ("GET /login?user=b&password=ab%26S3CR3T&x=1 HTTP/1.1", "GET /login?user=b&password=#&x=1 HTTP/1.1"),
    ("token=ab%3BS3CR3T%26x%3D1", "token=#%26x%3D1"),
    ("GET /?api%5Fkey=S3CR3T&x=1 HTTP/1.1", "GET /?api%5Fkey=#&x=1 HTTP/1.1"),
    ("p%61ssword=S3CR3T x%2Dapi%2Dkey=S3CR3T", "p%61ssword=# x%2Dapi%2Dkey=#"),
    ("user%255Bpassword%255D=S3CR3T&x=1", "user%255Bpassword%255D=#&x=1"),
    ("next=%252Flogin%253Ftoken%253DS3CR3T&x=1", "next=#&x=1"),
    ("data=%257B%2522password%2522%253A%2522S3CR3T%2522%257D", "data=#"),
    ("https://S3CR3T0123456789abc@github.com/x.git", "https://#@github.com/x.git"),
    ("https://S3CR3T0123456789abc:x-oauth-basic@github.com/x", "https://#:x-oauth-basic@github.com/x"),
    ('<property name="password">S3CR3T</property>', '<property name="password">#</property>'),
    ("<entry key='db.password'>S3CR3T</entry><a>1</a>", "<entry key='db.password'>#</entry><a>1</a>"),
    ('<input name="password" type="password" value="S3CR3T">', '<input name="password" type="password" value="#">'),
    ("track %B4111111111111111^DOE/JOHN^2512", "track %B#^DOE/JOHN^2512"),
    ("xoxb-123456789012-S3CR3T", "#"),
    ("sk_live_0123456789abcdef", "#"),
]

INTACT = """
    password changed
    pam_unix(passwd:chauthtok): password changed for ann
    pam_unix(gdm-password:session): session opened for user ann(uid=1000) by (uid=0)
    ann : problem with defaults entries ; TTY=pts/0 ; PWD=/home/ann
    type=EXECVE msg=audit(1.2:3): argc=3 a0="ls" a1="-p" a2="x"
    a0="docker" a1="run" a2="-p" a3="80:80"
    user_passed=true
    token expired
    token: expired
    solved with input_value=5, input_type=int
    e: {'loc': ('body', 'age'), 'input': 'a'}, {'location': ['password'], 'input': 'a'}
    Password: must contain eight characters
    Failed password for root from 1.2.3.4 port 22 ssh2
    Failed password for invalid user x from 2001:db8::1 port 22 ssh2
    Accepted password for x
    password authentication failed
    reason=invalid_password user=bob
    InvalidTokenError: Not enough segments
    missing fields: ['password', 'email']
    usage: login <user> <password> [options]
    basic authentication required, bearer token missing
    Basic plan, Bearer of news
    https://example.org:8443/a?b=c&page=2#top
    mailto:bob@example.org at 10:00:00
    git@github.com:org/repo.git
    trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7
    2026-11-24T02:00:00.000Z took 5 ms
    user 550e8400-e29b-41d4-4111-111111111111 or 55555555-4111-1111-1111-111111111111
    block blk_4568377692254637284 and blk_-397848436489409658
    from tokenT12:30:00 on
    user 550e8400-e29b-41d4-a716-446655440000
    at 1795485600000 and 1795485600000000000
    sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==
    sudo: bob : TTY=pts/0 ; PWD=/home/bob ; USER=root ; COMMAND=/bin/ls
    {"a": 1, "b": [true, null, "c: d"]}
    4111111111111112 and 41111111111111111111 and x4111111111111111 and 0.4111111111111111
    000-12-3456 666-12-3456 900-12-3456 123-00-4567 123-45-0000 1123-45-6789
    class_name=Foo process_name: bar shipping=fast api_key_id=17
    path C:\\Users\\bob\\key
    eyJ is how a token begins
    if x == y: pass
    arn:aws:secretsmanager:us-east-1:123456789012:secret/prod
    not authorized to perform: secretsmanager:GetSecretValue on resource
    PASSWORD_RESET_REQUEST: bob@example.com
    invalid_token: bob
    POST /oauth/token: 401
    /etc/secrets: permission denied
    op=changing password id=1000 exe=/usr/bin/passwd
    prompt_tokens=812 max_tokens: 4096 password_attempts=3 token_type=Bearer
    call +4915112345674 or (+4915112345674) or +378282246310005
    Key (id, email)=(1, a@b.c) already exists
    [SQL: UPDATE u SET name=%s] [parameters: ('bob', 1)]
    https://0123456789.example.org/x and https://bob@example.org/x
    <property name="user">bob</property> <input name="user" value="bob">
    next=%252Flogin%253Fpage%253D1&q=100%25 and a%20b=c
    docker run -p 80:80 nginx && curl -s -o x https://example.org
""".strip().splitlines()


@pytest.mark.parametrize(("line", "expected"), REDACTED)
def test_a_secret_in_a_line_is_replaced_and_the_rest_stays(line: str, expected: str) -> None:
    assert redactor.text(line) == expected.replace("#", MARKER)


@pytest.mark.parametrize(("line", "expected"), REDACTED)
def test_a_secret_in_a_value_is_suspected_and_replaced(line: str, expected: str) -> None:
    document = {"n": 1, "siemlite": {"data": {"note": line}}}
    assert list(redactor.suspects([b'{"a":"b"}', orjson.dumps(document), b"{}"])) == [1]
    assert redactor.values(document) == {"n": 1, "siemlite": {"data": {"note": expected.replace("#", MARKER)}}}


@pytest.mark.parametrize(("line", "expected"), REDACTED)
def test_a_secret_in_json_within_json_is_replaced(line: str, expected: str) -> None:
    inner = orjson.dumps({"note": line, "n": [1]}).decode()
    document = {"body": orjson.dumps({"inner": inner}).decode()}
    assert list(redactor.suspects([orjson.dumps(document)])) == [0]
    outer = orjson.loads(redactor.values(document)["body"])
    assert orjson.loads(outer["inner"]) == {"note": expected.replace("#", MARKER), "n": [1]}


@pytest.mark.parametrize("line", [line.strip() for line in INTACT])
def test_a_line_without_a_secret_stays(line: str) -> None:
    assert redactor.text(line) == line
    document = {"message": line}
    assert redactor.values(document) is document


def test_no_line_of_a_real_authentication_log_is_changed() -> None:
    if not AUTH_LOG.exists():
        pytest.skip(f"the shared sample {AUTH_LOG.name} is not on this machine")
    lines = AUTH_LOG.read_text("utf-8").splitlines()
    assert len(lines) == 2_000
    assert [line for line in lines if redactor.text(line) != line] == []
    assert list(redactor.suspects([orjson.dumps({"message": line}) for line in lines])) == []


def test_names_in_json_in_a_text_follow_the_rules_for_keys() -> None:
    text = '{"headers": [["X-Api-Key", "S3CR3T"]], "h": [{"name": "Cookie", "value": "S3CR3T"}], "api_key_id": "17"}'
    assert orjson.loads(redactor.text(text)) == {
        "headers": [["X-Api-Key", MARKER]],
        "h": [{"name": "Cookie", "value": MARKER}],
        "api_key_id": "17",
    }


def test_broken_json_of_ten_thousand_levels_is_redacted() -> None:
    text = '{"a":[' * 10_000 + '{"password":"S3CR3T"'
    assert redactor.text(text) == '{"a":[' * 10_000 + f'{{"password":"{MARKER}"'
    valid = '{"a":' * 900 + '{"password":"S3CR3T"}' + "}" * 900
    assert redactor.text(valid) == '{"a":' * 900 + f'{{"password":"{MARKER}"}}' + "}" * 900


def test_json_cut_anywhere_leaves_no_secret() -> None:
    text = orjson.dumps(
        {"user": "bob", "password": 'S3CR3T "S3CR3T', "token": ["S3CR3T"], "n": {"pin": "S3CR3T"}}
    ).decode()
    for end in range(len(text)):
        assert "S3CR" not in redactor.text(text[:end])


def test_added_names_count_in_texts_too() -> None:
    extended = Redactor(["internal_ref", "nhs"])
    document = {"m": "internal-ref=S3CR3T nhs: S3CR3T enhs=kept"}
    assert list(extended.suspects([orjson.dumps(document)])) == [0]
    assert extended.values(document) == {"m": f"internal-ref={MARKER} nhs: {MARKER} enhs=kept"}


def test_a_card_number_as_a_number_is_replaced() -> None:
    document: dict[str, Any] = {
        "a": 4111111111111111,
        "b": [378282246310005],
        "c": 4111111111111112,
        "t": 1795485600000,
    }
    assert list(redactor.suspects([orjson.dumps(document)])) == [0]
    assert redactor.values(document) == {"a": MARKER, "b": [MARKER], "c": 4111111111111112, "t": 1795485600000}


def test_a_secret_in_a_key_is_replaced() -> None:
    document = {"password=S3CR3T": 1, "https://bob:S3CR3T@h/": {"4111111111111111": 2}}
    assert list(redactor.suspects([orjson.dumps(document)])) == [0]
    assert redactor.values(document) == {f"password={MARKER}": 1, f"https://bob:{MARKER}@h/": {MARKER: 2}}


def test_keys_that_become_the_same_stay_apart() -> None:
    document = {"4111111111111111": 1, "378282246310005": 2}
    assert sorted(redactor.values(document).values()) == [1, 2]


def test_values_leaves_its_input_as_it_is() -> None:
    document = {"a": {"m": "password=S3CR3T"}, "l": ("x", "token=S3CR3T")}
    before = orjson.dumps(document)
    redactor.values(document)
    assert orjson.dumps(document) == before


def test_ids_and_instants_at_their_fields_are_passed_over_and_nothing_else_there_is() -> None:
    intact = {"trace": {"id": "41111111111111114111111111111111"}, "@timestamp": "2026-11-24T02:00:00.000Z"}
    assert redactor.values(intact) is intact
    hidden = {"trace": {"id": "password=S3CR3T"}, "@timestamp": "token: S3CR3T"}
    assert b"S3CR3T" not in orjson.dumps(redactor.values(hidden))
    assert list(redactor.suspects([orjson.dumps(hidden)])) == [0]


def test_documents_that_hold_redacted_keys_only_are_no_suspects() -> None:
    plain = redactor.keys({"password": "x", "body": {"apiToken": "y", "cookie": ["z"]}, "message": "Login failed"})
    assert list(redactor.suspects([orjson.dumps(plain)] * 300)) == []


def test_suspects_are_named_by_their_position_in_a_long_batch() -> None:
    clean, dirty = orjson.dumps({"m": "x"}), orjson.dumps({"m": "token=S3CR3T 4111111111111111"})
    bodies = [dirty if at in (0, 127, 128, 500, 999) else clean for at in range(1_000)]
    assert list(redactor.suspects(bodies)) == [0, 127, 128, 500, 999]
    assert list(redactor.suspects([])) == []


def test_keys_that_become_alike_cost_no_more_than_others_and_none_is_lost() -> None:
    tree = {f"pw={number}": number for number in range(20_000)}
    redacted = redactor.values(tree)
    assert sorted(redacted.values()) == list(range(20_000))
    assert not any(f"pw={number}" in redacted for number in range(20_000))
    assert max(map(len, redacted)) < 30
