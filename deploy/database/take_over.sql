-- Part of roles.sql: gives everything in this database that PostgreSQL did not bring itself to the role :new_owner.
-- By itself it does nothing, since PostgreSQL's image runs each file of this folder on an empty volume.
\if :{?new_owner}
\else
\quit
\endif
SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, :'new_owner') FROM pg_namespace
WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' \gexec

SELECT format('ALTER %s %I.%I OWNER TO %I',
    CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
    nspname, relname, :'new_owner')
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' AND relkind IN ('r', 'p', 'v', 'm', 'S')
    -- The sequence of a column goes with its table.
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND relkind = 'S' AND deptype IN ('a', 'i')) \gexec

SELECT format('ALTER FUNCTION %s OWNER TO %I', p.oid::regprocedure, :'new_owner')
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' \gexec

SELECT format('ALTER TYPE %I.%I OWNER TO %I', nspname, typname, :'new_owner')
FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema' AND typtype IN ('e', 'd') \gexec
