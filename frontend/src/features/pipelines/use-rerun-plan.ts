import { useQuery } from '@tanstack/react-query'
import { type Control, useWatch } from 'react-hook-form'
import { editedInputs, type FormValues, type SchemaField } from '@/components/schema-form/fields'
import { problemsOf, unplacedMessage } from '@/components/schema-form/problems'
import { type Again, rerunPlanQuery } from '@/features/pipelines/api'
import { useDebounced } from '@/hooks/use-debounced'
import type { Schemas } from '@/lib/api'

const PAUSE_MS = 300
/** In characters of the address. Larger inputs are checked when they are run, as the server's address line has an end. */
const LONGEST_INPUTS = 10_000

export type PlannedRerun = {
  /** With inputs that are refused, what is so without them. */
  plan: Schemas['RerunPlanBody'] | undefined
  /** What is wrong with the inputs, by field. */
  problems: Record<string, { type: string; message: string }>
  /** What is wrong beyond them. */
  message: string | null
}

/** What running again would do with the inputs as they are in the form. */
export function useRerunPlan(
  again: Again | undefined,
  fields: readonly SchemaField[],
  control: Control<FormValues>,
): PlannedRerun {
  const inputs = useDebounced(asJson(editedInputs(fields, useWatch({ control }))), PAUSE_MS)
  const before = useQuery(rerunPlanQuery(again, null))
  const { data, error } = useQuery(rerunPlanQuery(again, inputs))
  const problems = Object.entries(problemsOf(error, fields))
  return {
    plan: data ?? before.data,
    problems: Object.fromEntries(
      problems.map(([name, message]) => [name, { type: 'server', message }]),
    ),
    message: unplacedMessage(error, fields),
  }
}

function asJson(inputs: Record<string, unknown>): string | null {
  const json = JSON.stringify(inputs)
  return json === '{}' || encodeURIComponent(json).length > LONGEST_INPUTS ? null : json
}
