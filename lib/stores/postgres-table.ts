/** The statements of one table. All are single ones, so each is atomic by itself; all go by the clock of the database. */
export interface PostgresTable {
  readonly create: string;
  readonly get: string;
  readonly set: string;
  readonly add: string;
  readonly take: string;
  readonly replace: string;
  readonly delete: string;
  readonly purge: string;
}

// Quoted below, yet kept to what needs no quotes: a name is the one part of a statement that is no parameter.
const IDENTIFIER = /^[a-z_][a-z0-9_]{0,62}$/i;
const PURGED_AT_ONCE = 1_000;
const END = "now() + interval '1 millisecond' * $3";

/** @returns `null` for a name that is not one or two identifiers, `schema.table` */
export function tableOf(name: string): PostgresTable | null {
  const parts = name.split('.');
  if (parts.length > 2 || !parts.every(part => IDENTIFIER.test(part))) return null;
  const table = parts.map(part => `"${part}"`).join('.');
  return {
    // One text of two statements is one transaction: whoever sees the table sees its index too.
    create: `CREATE TABLE ${table} (key text COLLATE "C" PRIMARY KEY, value text NOT NULL, expires_at timestamptz NOT NULL);
CREATE INDEX ON ${table} (expires_at)`,
    get: `SELECT value FROM ${table} WHERE key = $1 AND expires_at > now()`,
    set: `INSERT INTO ${table} (key, value, expires_at) VALUES ($1, $2, ${END})
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at`,
    add: `INSERT INTO ${table} AS existing (key, value, expires_at) VALUES ($1, $2, ${END})
ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at WHERE existing.expires_at <= now()`,
    take: `DELETE FROM ${table} WHERE key = $1 RETURNING CASE WHEN expires_at > now() THEN value END AS value`,
    replace: `UPDATE ${table} SET value = $2, expires_at = ${END} WHERE key = $1 AND value = $4 AND expires_at > now()`,
    delete: `DELETE FROM ${table} WHERE key = $1`,
    // What another replica is purging, or somebody renewing, is passed over: nobody waits for a purge.
    purge: `WITH over AS (
  SELECT key FROM ${table} WHERE expires_at <= now() ORDER BY expires_at LIMIT ${PURGED_AT_ONCE} FOR UPDATE SKIP LOCKED
) DELETE FROM ${table} AS existing USING over WHERE existing.key = over.key`,
  };
}
