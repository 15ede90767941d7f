"""Files that are no tables we read: what to do with those that people have, by what their names end in.

Standard library only, because the web process answers with it.
"""

from app.tabular.readers.formats import ACCEPTED, PACKED, TEXTS

_SPREADSHEET = "Open it in a spreadsheet program, and save the table as .xlsx, .ods or .csv."
_TABLE_OF_TEXT = "Copy the table into a spreadsheet, and save that as .xlsx, .ods or .csv."
_UNPACK = "Unpack it, and send the table itself, or one table in a .zip."
_DATABASE = "Export one table of it as .csv, with the names of its columns in the first row."
_PROGRAM = "It is a program, and not the data: send the file of data that it reads or writes."
_PICTURE = "It is a picture. A dataset of pictures is a table of their addresses or of numbers made of them."
_MATLAB = (
    "In MATLAB: writetable(T, 'table.csv') for a table T, or writematrix(X, 'table.csv') for a matrix X."
)
_PICKLE = (
    "Loading it could run any program, so it is never read. In Python: "
    "pandas.read_pickle('table.pkl').to_parquet('table.parquet')."
)
_HDF = "In Python: pandas.read_hdf('table.h5').to_parquet('table.parquet')."
_NUMPY = "In Python: numpy.savetxt('table.csv', numpy.load('table.npy'), delimiter=',')."
_R = "In R: saveRDS(table, 'table.rds'), or write.csv(table, 'table.csv', row.names = FALSE)."
_ADVICE: dict[str, str] = {
    "doc docx odt rtf pages ppt pptx md tex": _TABLE_OF_TEXT,
    "pdf": "Take the table where it was made for the document, as .xlsx or .csv; or copy it into a spreadsheet.",
    "htm html mht xltx xltm xlt ots fods sxc dbf wk1 wks slk dif": _SPREADSHEET,
    "numbers": "In Numbers: File > Export To > Excel… or CSV…, and send that.",
    "gsheet": "In Google Sheets: File > Download > Microsoft Excel (.xlsx), and send that.",
    "mat": _MATLAB,
    "pkl pickle joblib dill": _PICKLE,
    "h5 hdf hdf5 he5 nc": _HDF,
    "npy npz": _NUMPY,
    "db sqlite sqlite3 db3 mdb accdb sql dump duckdb bak": _DATABASE,
    "orc avro": "Read it with the program that made it, and save the table as .parquet or .csv.",
    "fst qs qs2 rdb": _R,
    "sas7bcat": "It holds labels of values only: send the .sas7bdat that belongs to it.",
    "sps sas do r py ipynb m exe": _PROGRAM,
    "spv smcl lst": "It holds output: send the data themselves (.sav, .dta, .sas7bdat).",
    "jmp mtw mpj mpx gdt wf1 pzfx": "In its program, export the table as .csv or .xlsx.",
    "xml yaml yml toml": "Save the table as .csv, or as .json with an array of records.",
    "shp geojson gpkg kml": "Export its table of attributes as .csv, with the coordinates as columns.",
    "7z rar tar tgz tbz txz lz4 br z iso dmg": _UNPACK,
    " ".join(PACKED): "Only text is read packed, and the name says which, as table.csv.gz does.",
    "jpg jpeg png gif tif tiff bmp svg webp": _PICTURE,
    "crdownload part partial download": "The download of it is not complete: fetch it anew.",
    "gpg pgp age enc": "It is encrypted: send it decrypted.",
}
_BY_ENDING = {ending: advice for endings, advice in _ADVICE.items() for ending in endings.split()}


def what_to_do(file_name: str) -> str:
    """Return sentences about a file whose name says that it cannot be read: what to send, and how to make it."""
    endings = file_name.rstrip(". \t").lower().split(".")[1:]
    ending = endings[-1] if endings else ""
    is_tar = ending in PACKED and endings[-2:-1] == ["tar"]
    advice = _UNPACK if is_tar else _BY_ENDING.get(ending, "")
    if ending in PACKED and not is_tar and len(endings) > 1 and endings[-2] not in TEXTS:
        advice = f"Only text is read packed: send the .{endings[-2]} file itself."
    said = (
        f"Files named .{ending[:12]} cannot be read."
        if ending
        else "The name of the file does not say what it is."
    )
    return " ".join(part for part in (said, advice, f"A table is a file of {ACCEPTED}.") if part)
