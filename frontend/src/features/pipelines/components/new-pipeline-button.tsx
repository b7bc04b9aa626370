import { Link } from 'react-router'
import { Icon } from '@/components/icon'
import { Button } from '@/components/ui/button'
import { useHasRole } from '@/store/session'

export function NewPipelineButton() {
  const mayEdit = useHasRole('editor')
  if (!mayEdit) return null
  return (
    <Button variant="primary" asChild>
      <Link to="/pipelines/new">
        <Icon name="plus" />
        New pipeline
      </Link>
    </Button>
  )
}
