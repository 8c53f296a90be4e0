// Answers with what SQLite is really set to inside a PocketBase server, on its connection for writing.
routerAdd("GET", "/settings-in-force", (e) => {
  const levels = ["OFF", "NORMAL", "FULL", "EXTRA"]
  const ask = (sql) => {
    const row = new DynamicModel({ value: "" })
    $app.nonconcurrentDB().newQuery(sql).one(row)
    return row.value
  }
  return e.json(200, {
    "sqlite": ask("SELECT sqlite_version() AS value"),
    "synchronous": levels[parseInt(ask("SELECT CAST(synchronous AS TEXT) AS value FROM pragma_synchronous"))],
    "journal mode": ask("SELECT journal_mode AS value FROM pragma_journal_mode"),
    "cache size": ask("SELECT CAST(cache_size AS TEXT) AS value FROM pragma_cache_size"),
  })
})
