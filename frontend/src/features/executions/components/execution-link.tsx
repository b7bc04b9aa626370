import { useQuery } from '@tanstack/react-query'
import { Link } from 'react-router'
import { executionQuery } from '@/features/executions/api'

/** Another execution of the same pipeline, by its number once that is known. */
export function ExecutionLink({ id }: { id: string }) {
  const { data } = useQuery(executionQuery(id))
  return (
    <Link to={`/executions/${id}`} className="text-link underline">
      {data ? `#${data.number}` : 'an earlier execution'}
    </Link>
  )
}
