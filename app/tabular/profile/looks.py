"""What columns look like by their names and values: personal data, and numbers of rows."""

import re

import pyarrow as pa
import pyarrow.compute as pc

_MAIL = r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}"
_TELEPHONE = (
    r"^\s*(?:\+[0-9]|00[1-9]|\(?0[0-9]|\([0-9]{2,4}\)|[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}$)[0-9 ()/.-]*$"
)
_DATE = r"^\s*[0-9]{1,4}[-./][0-9]{1,2}[-./][0-9]{1,4}"
_FEWEST_DIGITS, _MOST_DIGITS = 7, 15
_ID = re.compile(
    r"id|uid|uuid|guid|index|idx|rowid|rownumber|rownum|rowno|key|primarykey|recordid|unnamed0|nr|no|lfdnr|kennung|codigo"
)
_ID_END = re.compile(r".*[a-z0-9](?:_id|Id|ID|_uuid|_key|_idx| id| ID)|.*[ _-]id[ _-]?\d*")
_PERSONAL = frozenset(
    # English, German, French, Spanish, Italian, Dutch, Portuguese, Polish.
    [
        "email",
        "mail",
        "emailaddress",
        "mailaddress",
        "phone",
        "telephone",
        "phonenumber",
        "telephonenumber",
        "mobile",
        "mobilephone",
        "cellphone",
        "firstname",
        "lastname",
        "surname",
        "familyname",
        "givenname",
        "fullname",
        "birthdate",
        "dateofbirth",
        "birthday",
        "dob",
        "ssn",
        "socialsecuritynumber",
        "passport",
        "passportnumber",
        "passportno",
        "iban",
        "creditcard",
        "creditcardnumber",
        "ipaddress",
        "homeaddress",
        "streetaddress",
        "emailadresse",
        "mailadresse",
        "telefon",
        "telefonnummer",
        "handy",
        "handynummer",
        "vorname",
        "nachname",
        "familienname",
        "geburtsdatum",
        "geburtstag",
        "anschrift",
        "strasse",
        "ausweisnummer",
        "sozialversicherungsnummer",
        "steuernummer",
        "courriel",
        "telephoneportable",
        "prenom",
        "nomdefamille",
        "datedenaissance",
        "adressepostale",
        "numerodetelephone",
        "correo",
        "correoelectronico",
        "telefono",
        "apellido",
        "apellidos",
        "fechadenacimiento",
        "direccion",
        "dni",
        "nif",
        "cognome",
        "datadinascita",
        "indirizzo",
        "codicefiscale",
        "cellulare",
        "voornaam",
        "achternaam",
        "geboortedatum",
        "telefoonnummer",
        "bsn",
        "sobrenome",
        "datadenascimento",
        "telefone",
        "endereco",
        "cpf",
        "imie",
        "nazwisko",
        "dataurodzenia",
        "pesel",
    ]
)
_ACCENTS = str.maketrans("áàâäãåéèêëíìîïóòôöõúùûüçñęł", "aaaaaaeeeeiiiiooooouuuucnel")


def is_name_of_id(name: str) -> bool:
    """Return whether a column's name is one that numbers of rows have."""
    return bool(_ID.fullmatch(_plain(name)) or _ID_END.fullmatch(name[:200]))


def is_name_of_personal(name: str) -> bool:
    """Return whether a column's name is one that data about persons have, in some languages."""
    return _plain(name) in _PERSONAL


def count_mails(cells: pa.Array) -> int:
    """Return how many cells have a mail address in them."""
    has_mark = pc.match_substring(cells, "@")
    found: int = (
        pc.match_substring_regex(cells.filter(has_mark), _MAIL).true_count if has_mark.true_count else 0
    )
    return found


def count_telephones(cells: pa.Array) -> int:
    """Return how many cells are telephone numbers by their look, and no dates."""
    digits = pc.count_substring_regex(cells, "[0-9]")
    is_long = pc.and_(pc.greater_equal(digits, _FEWEST_DIGITS), pc.less_equal(digits, _MOST_DIGITS))
    looks = pc.and_(pc.match_substring_regex(cells, _TELEPHONE), is_long)
    found: int = pc.and_not(looks, pc.match_substring_regex(cells, _DATE)).true_count
    return found


def _plain(name: str) -> str:
    text = name[:200].casefold().replace("ß", "ss").translate(_ACCENTS)
    return "".join(letter for letter in text if letter.isalnum())
