{{ config(materialized='lasting_view') }}

-- Names are looked up when they are asked for, so that a customer who was renamed or merged needs no day again.
with agents_of_users as (
    select
        kimai_user_id,
        min(agent) as agent,
        min(agent_email) as agent_email
    from {{ ref('dim_agent') }}
    where kimai_user_id is not null
    group by kimai_user_id
    having count(*) = 1
),

types_of_activities as (
    select
        kimai_activity_id,
        min(activity) as activity
    from {{ ref('dim_activity') }}
    where kimai_activity_id is not null
    group by kimai_activity_id
    having count(*) = 1
)

select
    entries.*, -- noqa: AM04
    date_trunc('month', entries.entry_date)::date as booking_month,
    coalesce(projects.customer_id, entries.planned_customer_id, organizations.customer_id) as customer_id,
    coalesce(customers.name, organizations.organization, '{{ var("fallback_customer") | replace("'", "''") }}')
        as customer,
    coalesce(entries.agent, agents.agent, agents_of_users.agent, users.name, 'unknown') as agent_name,
    coalesce(entries.agent_email, agents.agent_email, agents_of_users.agent_email, users.email, '') as agent_address,
    coalesce(types.activity, types_of_activities.activity, activities.name, '(no type)') as activity
from {{ ref('fct_time_entries') }} as entries
left join {{ source('kimai', 'projects') }} as projects
    on entries.kimai_project_id = projects.id and projects.connector = '{{ var("target") }}'
left join {{ ref('stg_organization_customers') }} as organizations
    on entries.organization_id = organizations.organization_id
left join {{ source('kimai', 'customers') }} as customers
    on
        coalesce(projects.customer_id, entries.planned_customer_id, organizations.customer_id) = customers.id
        and customers.connector = '{{ var("target") }}'
left join {{ ref('dim_agent') }} as agents on entries.agent_id = agents.agent_id
left join agents_of_users on entries.kimai_user_id = agents_of_users.kimai_user_id
left join {{ source('kimai', 'users') }} as users
    on entries.kimai_user_id = users.id and users.connector = '{{ var("target") }}'
left join {{ ref('dim_activity') }} as types on entries.activity_type_id = types.activity_type_id
left join types_of_activities on entries.kimai_activity_id = types_of_activities.kimai_activity_id
left join {{ source('kimai', 'activities') }} as activities
    on entries.kimai_activity_id = activities.id and activities.connector = '{{ var("target") }}'
