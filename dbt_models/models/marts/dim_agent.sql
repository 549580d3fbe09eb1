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
),

agents as (
    select
        *,
        -- An address is that of the one active agent who has it, or else of the only one.
        email <> '' and (
            count(*) over (partition by lower(email)) = 1
            or (active and count(*) filter (where active) over (partition by lower(email)) = 1)
        ) as owns_address
    from {{ source('zammad', 'agents') }}
    where connector = '{{ var("source") }}'
)

select
    agents.id as agent_id,
    agents.name as agent,
    agents.email as agent_email,
    agents.active as is_active,
    coalesce(by_id.kimai_user_id, by_email.kimai_user_id, users.user_id, carried.kimai_user_id) as kimai_user_id
from agents
left join {{ source('sync', 'user_mappings') }} as by_id on agents.id = by_id.agent_id
left join {{ source('sync', 'user_mappings') }} as by_email
    on agents.owns_address and lower(agents.email) = by_email.email and by_email.agent_id is null
left join users on agents.owns_address and lower(agents.email) = users.address
left join {{ source('sync', 'carried_agents') }} as carried
    on agents.id = carried.agent_id and carried.source = '{{ var("source") }}'
