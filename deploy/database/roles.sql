-- Two roles and both databases on a PostgreSQL server of your own (15 or newer). Run it as a superuser, with psql:
--   DATABASE_OWNER_PASSWORD=… DATABASE_PASSWORD=… psql -h HOST -U postgres -d postgres -f roles.sql
-- zk_owner owns the database zk, and migrates. zk_app works: it may add rows to the audit trail, and not change them.
-- Neither is a superuser. It may be run again, to set other passwords, or where everything belongs to one role yet.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv app_password DATABASE_PASSWORD
\if :{?owner_password}
\else
\warn 'Set DATABASE_OWNER_PASSWORD in the environment.'
SELECT 1 / 0 AS missing;
\endif
\if :{?app_password}
\else
\warn 'Set DATABASE_PASSWORD in the environment.'
SELECT 1 / 0 AS missing;
\endif

SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['zk_owner', 'zk_app']) name
WHERE to_regrole(name) IS NULL \gexec
-- CREATEDB is for restorations, which are made in a database beside, and rehearsed by the application each week.
ALTER ROLE zk_owner LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'owner_password';
ALTER ROLE zk_app LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD :'app_password';
-- The owner hands the marts over, and puts restored databases in place. The other way round nothing is granted.
GRANT zk_app TO zk_owner;

SELECT format('CREATE DATABASE %I OWNER %I', name, owner)
FROM (VALUES ('zk', 'zk_owner'), ('dagster', 'zk_app')) wanted (name, owner)
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = name) \gexec
ALTER DATABASE zk OWNER TO zk_owner;
ALTER DATABASE dagster OWNER TO zk_app;
REVOKE ALL ON DATABASE zk, dagster FROM PUBLIC;
-- What zk_app may do in zk, the owner grants with each `zk migrate`.
GRANT CONNECT ON DATABASE zk TO zk_app;

-- What another role made before gets its new owner; in an empty database there is nothing.
\connect zk
SELECT 'zk_owner' AS new_owner \gset
\ir take_over.sql
\connect dagster
SELECT 'zk_app' AS new_owner \gset
\ir take_over.sql
