{{ config(materialized='lasting_view') }}

with users as (
    -- An address that two users have belongs to neither, as for the pipeline.
    select
        lower(coalesce(nullif(email, ''), username)) as address,
        min(id) as user_id
    from {{ source('kimai', 'users') }}
    where connector = '{{ var("target") }}'
    group by lower(coalesce(nullif(email, ''), username))
    having count(*) = 1
)

select
    agents.id as agent_id,
    agents.name as agent,
    agents.email as agent_email,
    agents.active as is_active,
    coalesce(mappings.kimai_user_id, users.user_id) as kimai_user_id
from {{ source('zammad', 'agents') }} as agents
left join {{ source('sync', 'user_mappings') }} as mappings on lower(agents.email) = mappings.email
left join users on lower(agents.email) = users.address
where agents.connector = '{{ var("source") }}'
