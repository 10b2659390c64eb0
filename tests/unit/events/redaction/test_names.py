"""Which names are those of secrets."""

import pytest

from pipeline.errors import ConfigurationError
from pipeline.events.fields import FIELDS
from pipeline.events.redaction import Redactor
from pipeline.events.redaction import names as names_module

SENSITIVE = """
    password Password PASSWORD user_password newPassword pass-word p_a_s_s_w_o_r_d passwd secret clientSecret
    CLIENT_SECRET token accessToken X-Auth-Token csrf-token creditCard credit_card Credit-Card apiKey api_key API-KEY
    x-api-key authorization Authorization proxy-authorization cookie Set-Cookie privateKey private_key sessionId
    session_id session.id JSESSIONID PHPSESSID ssn userSSN ssn_last4 pin PIN cardPin pin_code pwd
    PWD oldPwd cvv cvv2 CVC card_cvc
    passphrase passcode db_pass DB_PASS smtp.pass aws.credentials credentials x-amz-credential secret_id token_id
    aws_secret_access_key accessKey card_number ｐａｓｓｗｏｒｄ pass\u200bword authorization_url
    password_changed otp jwt
    auth_code authCode client_assertion code_verifier codeVerifier x-functions-key hmacKey mfa_code recovery_key
    SAMLResponse security_answer seedPhrase ssh_key Ocp-Apim-Subscription-Key two_factor_code csrf _csrf xsrf psk
    wifi_psk senha contraseña contrasena mot_de_passe wachtwoord
""".split()  # noqa: SIM905 - read as words

PLAIN = """
    class_name process_name shipping mapping spinning compass bypass pass_rate passed api_key_id apiKeyId access_key_id
    private_key_id user_id trace.id event.code message username email key keys key_id pins_needle spin ping opinion
    credential_type author authority auth session card cardholder monkey
    compass_key bypass_keys csrf_failed status_code country_code mfa_method response seed tasks desenhar
    passkey_registered
""".split()  # noqa: SIM905 - read as words


@pytest.mark.parametrize("name", SENSITIVE)
def test_the_name_of_a_secret_is_sensitive(name: str) -> None:
    assert Redactor().is_sensitive(name)


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_that_only_resembles_one_is_not(name: str) -> None:
    assert not Redactor().is_sensitive(name)


def test_a_name_with_spaces_is_judged_like_one_without() -> None:
    redactor = Redactor()
    assert redactor.is_sensitive("Credit card")
    assert redactor.is_sensitive("api  key")
    assert not redactor.is_sensitive("class name")


def test_no_field_that_the_index_maps_is_sensitive_but_the_session_id() -> None:
    redactor = Redactor()
    assert [name for name in FIELDS if redactor.is_sensitive(name)] == ["session.id"]


def test_added_names_add_and_the_defaults_stay() -> None:
    redactor = Redactor(["internal-ref", "nhs", "Kennwort"])
    assert redactor.is_sensitive("internalRef")
    assert redactor.is_sensitive("the_internal_ref_2")
    assert redactor.is_sensitive("altesKennwort")
    assert redactor.is_sensitive("nhs_number")
    assert not redactor.is_sensitive("enhsure")
    assert redactor.is_sensitive("password")
    assert not Redactor().is_sensitive("internalRef")


@pytest.mark.parametrize("name", ["", " ", "_", "--", "123", "pass*", "a\nb", "\N{SNOWMAN}", "x" * 101])
def test_an_added_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="redacted key"):
        Redactor([name])


def test_hostile_distinct_names_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names_module, "_CACHE_MAX", 100)
    names = names_module.Names()
    for number in range(1_000):
        assert not names.is_sensitive(f"k{number}")
        assert names.is_sensitive(f"password{number}")
    assert len(names.verdicts) <= 100
    assert not names.is_sensitive("x" * 100_000)
    assert len(names.verdicts) <= 100
    assert all(len(name) <= 200 for name in names.verdicts)


@pytest.mark.parametrize(
    "name",
    [
        *("password_attempts", "failedOtpCount", "token_expires_at", "passwordChangedAt", "token_type", "max_tokens"),
        *("prompt_tokens", "password_policy", "secret_length", "authorization.k8s.io/decision"),
    ],
)
def test_what_tells_of_a_secret_is_none(name: str) -> None:
    assert not names_module.Names().is_sensitive(name)


@pytest.mark.parametrize(
    "name",
    [
        *("reset_tokens", "example.com/password", "a/b/api_key", "sms_code", "oneTimeCode", "DB_PASS", "dbpass"),
        *("PAM_AUTHTOK", "STRIPE_KEY", "REDIS_AUTH", "type_of_password", "count_token", "authorization"),
    ],
)
def test_what_is_a_secret_stays_one(name: str) -> None:
    assert names_module.Names().is_sensitive(name)


def test_an_added_name_is_one_whatever_it_ends_in() -> None:
    names = names_module.Names(["failure_count", "age"])
    assert names.is_sensitive("login_failure_count")
    assert names.is_sensitive("user_age")
    assert not names.is_sensitive("password_count")
